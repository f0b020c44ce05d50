-- Old months of the ledger, rolled up (lib/billing/roll_up.h, docs/correctness.md). Months and days are those of UTC.

-- What a correction or a grant of before there were grants amounted to: its row of the ledger may be gone. First, because it waits for
-- everything that reads the table.
ALTER TABLE credit_references ADD COLUMN amount BIGINT NULL, ALGORITHM=INSTANT;

CREATE TABLE ledger_rollups (
  workspace_id UUID             NOT NULL,
  month        INT              NOT NULL,            -- 12 * year + month of 0 to 11
  state        TINYINT UNSIGNED NOT NULL,            -- 1 rows are being removed, 2 done
  before_id    UUID             NOT NULL,            -- the lowest id of the next month
  n            BIGINT           NOT NULL DEFAULT 0,  -- rows that were removed, and their sum
  amount       BIGINT           NOT NULL DEFAULT 0,
  unsent       TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: a destination of the usage push had not got all of them
  begun_ms     BIGINT           NOT NULL,
  ended_ms     BIGINT           NULL,
  checksum     BINARY(32)       NULL,                -- of the sums, and of the checksum of the month before
  PRIMARY KEY (workspace_id, month),
  KEY by_state (state)
) ENGINE=InnoDB;

-- The sums of the rows that were removed. An id of zeros: none.
CREATE TABLE ledger_rollup_sums (
  workspace_id UUID             NOT NULL,
  day          INT              NOT NULL,            -- since 1970-01-01
  kind         TINYINT UNSIGNED NOT NULL,
  responder_id UUID             NOT NULL,
  key_id       UUID             NOT NULL,
  grant_id     UUID             NOT NULL,
  n            BIGINT           NOT NULL,            -- one of several grants counts for the first of them
  amount       BIGINT           NOT NULL,
  PRIMARY KEY (workspace_id, day, kind, responder_id, key_id, grant_id)
) ENGINE=InnoDB;

-- What of it counted in a period of a budget.
CREATE TABLE ledger_rollup_budgets (
  workspace_id UUID   NOT NULL,
  month        INT    NOT NULL,
  budget_id    UUID   NOT NULL,
  start_ms     BIGINT NOT NULL,
  amount       BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, month, budget_id, start_ms)
) ENGINE=InnoDB;
