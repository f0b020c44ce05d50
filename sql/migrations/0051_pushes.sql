-- Usage push: where the rows of the ledger are sent (docs/billing.md, lib/push/destination.h).
CREATE TABLE pushes (
  id               UUID              NOT NULL PRIMARY KEY,
  name             VARBINARY(64)     NOT NULL,
  url              VARBINARY(2048)   NOT NULL,
  kinds            INT UNSIGNED      NOT NULL,            -- 1 << kind of each kind of row that is sent
  auth             TINYINT UNSIGNED  NOT NULL,            -- 0 none, 1 bearer, 2 signature
  nonce            VARBINARY(24)     NULL,
  sealed           VARBINARY(4112)   NULL,                -- the secret, encrypted (lib/secret/seal.h)
  number           BIGINT            NOT NULL,            -- the cursor: rows up to this number are sent or set aside
  alone_to         BIGINT            NOT NULL DEFAULT 0,  -- up to here, the rows of each number are a batch of their own
  paused           TINYINT UNSIGNED  NOT NULL DEFAULT 0,
  due_ms           BIGINT            NOT NULL,            -- a process has it until then, or it pauses after a failure
  claim            UUID              NULL,                -- of the process that has it
  failures         INT UNSIGNED      NOT NULL DEFAULT 0,  -- since the last success
  failing_since_ms BIGINT            NULL,
  status           SMALLINT UNSIGNED NULL,                -- of the last answer
  error            VARBINARY(512)    NULL,                -- of the last try, if it failed
  sent_ms          BIGINT            NULL,                -- the last success
  sent_rows        BIGINT            NOT NULL DEFAULT 0,
  created_ms       BIGINT            NOT NULL,
  UNIQUE KEY by_name (name)
) ENGINE=InnoDB;

-- Batches that a destination has rejected: rows of the ledger with the numbers from first to last.
CREATE TABLE pushes_aside (
  push_id UUID              NOT NULL,
  last    BIGINT            NOT NULL,
  first   BIGINT            NOT NULL,
  n       INT UNSIGNED      NOT NULL,
  status  SMALLINT UNSIGNED NOT NULL,
  answer  VARBINARY(1024)   NULL,                         -- the beginning of the answer
  at_ms   BIGINT            NOT NULL,
  again   TINYINT UNSIGNED  NOT NULL DEFAULT 0,           -- 1: it is sent again
  PRIMARY KEY (push_id, last)
) ENGINE=InnoDB;
