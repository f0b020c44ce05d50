-- One-time URLs with which people answer a wait. Only the hash of the token in the URL is kept. Written under the lock of the execution,
-- and, once that has ended, also without it. A row lives until its execution is purged.
CREATE TABLE signal_tickets (
  hash          BINARY(32)      NOT NULL PRIMARY KEY, -- SHA-256 of the token
  id            UUID            NOT NULL,             -- shown as the sender of the signal
  workspace_id  UUID            NOT NULL,
  execution_id  UUID            NOT NULL,
  name          VARBINARY(64)   NOT NULL,             -- of the signal
  key_id        UUID            NULL,                 -- that made it; NULL: a step of the run
  created_ms    BIGINT          NOT NULL,
  expires_ms    BIGINT          NOT NULL,
  open_until_ms BIGINT          NULL,                 -- expires_ms; NULL: answered, or its wait or its run is over
  answered_ms   BIGINT          NULL,
  signal_id     UUID            NULL,                 -- of the answer
  recipient     VARBINARY(256)  NULL,
  question      VARBINARY(4096) NULL,                 -- this and choices: NULL, once nobody is asked any more
  choices       MEDIUMBLOB      NULL,                 -- JSON
  KEY by_execution (execution_id, name, open_until_ms),
  KEY open (workspace_id, open_until_ms)
) ENGINE=InnoDB;
