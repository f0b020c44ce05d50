-- Dated price lists (docs/billing.md, lib/spending/price_list.h). A list that has come into force is never changed. Prices of what is
-- used are micro-credits for a million tokens, a second, or a million octets; the greatest amounts that are charged are tokens,
-- milliseconds and octets.
CREATE TABLE price_lists (
  id           UUID           NOT NULL PRIMARY KEY,
  workspace_id UUID           NOT NULL,
  target_hash  BINARY(32)     NOT NULL,              -- SHA-256 of workspace, responder and model
  responder_id UUID           NULL,                  -- NULL: all of the workspace
  model        VARBINARY(64)  NULL,                  -- alias; NULL: all
  effective_ms BIGINT         NOT NULL,              -- by MariaDB's clock, until the next list of this target
  ended        TINYINT        NOT NULL,              -- 1: from then on the target has no list
  fixed        BIGINT         NULL,                  -- NULL: the prices without a date
  input_price  BIGINT         NOT NULL,
  input_max    BIGINT         NOT NULL,
  output_price BIGINT         NOT NULL,
  output_max   BIGINT         NOT NULL,
  cached_price BIGINT         NOT NULL,
  cached_max   BIGINT         NOT NULL,
  time_price   BIGINT         NOT NULL,
  time_max     BIGINT         NOT NULL,
  bytes_price  BIGINT         NOT NULL,
  bytes_max    BIGINT         NOT NULL,
  created_ms   BIGINT         NOT NULL,
  UNIQUE KEY by_target (target_hash, effective_ms),
  KEY by_workspace (workspace_id, id)
) ENGINE=InnoDB;

-- Bits of lib/spending/price_list.h; 0: the workspace has no lists, and accepting reads none.
ALTER TABLE accounts ADD COLUMN prices TINYINT UNSIGNED NOT NULL DEFAULT 0;

-- The price of a run that a list has priced, as it was then.
CREATE TABLE execution_charges (
  execution_id  UUID     NOT NULL PRIMARY KEY,
  price_list_id UUID     NOT NULL,
  fixed         BIGINT   NOT NULL,
  held          BIGINT   NOT NULL,                   -- fixed + held is the debit
  input_price   BIGINT   NOT NULL,
  input_max     BIGINT   NOT NULL,
  output_price  BIGINT   NOT NULL,
  output_max    BIGINT   NOT NULL,
  cached_price  BIGINT   NOT NULL,
  cached_max    BIGINT   NOT NULL,
  time_price    BIGINT   NOT NULL,
  time_max      BIGINT   NOT NULL,
  bytes_price   BIGINT   NOT NULL,
  bytes_max     BIGINT   NOT NULL,
  -- Time that the run was executed, by MariaDB's clock.
  since_ms      BIGINT   NULL,                       -- an executor has it since then; NULL: none has
  time_used     BIGINT   NOT NULL DEFAULT 0,         -- before since_ms
  -- What the settlement counted; settled_ms NULL: it is not settled.
  input_used    BIGINT   NOT NULL DEFAULT 0,
  output_used   BIGINT   NOT NULL DEFAULT 0,
  cached_used   BIGINT   NOT NULL DEFAULT 0,
  bytes_used    BIGINT   NOT NULL DEFAULT 0,
  settled_ms    BIGINT   NULL
) ENGINE=InnoDB;

-- What of `cost` was held for the used part; 0: nothing, so that the end of the run settles nothing.
ALTER TABLE executions ADD COLUMN held BIGINT NOT NULL DEFAULT 0, ALGORITHM=INSTANT;
-- Of input_tokens.
ALTER TABLE execution_usage ADD COLUMN cached_tokens BIGINT NOT NULL DEFAULT 0, ALGORITHM=INSTANT;
