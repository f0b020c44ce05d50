-- Budgets (docs/budgets.md). Rows are read and written under the lock of the workspace's account only.

ALTER TABLE accounts
  ADD COLUMN budgets  TINYINT UNSIGNED NOT NULL DEFAULT 0, -- bits of lib/spending/budget.h; 0: the workspace has none
  ADD COLUMN timezone VARBINARY(64)    NULL;               -- of days and months; NULL: UTC

-- Of a debit and its refund: the budgets in which it counts, each as 16 bytes of id and 8 of the period's start; NULL: none.
ALTER TABLE credit_ledger ADD COLUMN budgets VARBINARY(192) NULL, ALGORITHM=INSTANT;

CREATE TABLE budgets (
  id           UUID             NOT NULL PRIMARY KEY,
  workspace_id UUID             NOT NULL,
  target_hash  BINARY(32)       NOT NULL,              -- SHA-256 of workspace, scope and target (lib/spending/budget.h)
  scope        TINYINT UNSIGNED NOT NULL,
  target       VARBINARY(256)   NOT NULL,              -- an id, or a tag; empty for the workspace
  period       TINYINT UNSIGNED NOT NULL,              -- lib/spending/period.h
  amount       BIGINT           NOT NULL,              -- the limit
  soft_percent TINYINT UNSIGNED NULL,
  used         BIGINT           NOT NULL DEFAULT 0,    -- in the period that begins at start_ms
  start_ms     BIGINT           NOT NULL,
  end_ms       BIGINT           NOT NULL,
  told         TINYINT UNSIGNED NOT NULL DEFAULT 0,    -- levels of this period that were reported
  created_ms   BIGINT           NOT NULL,
  updated_ms   BIGINT           NOT NULL,
  UNIQUE KEY by_target (target_hash, period),
  KEY by_workspace (workspace_id, id)
) ENGINE=InnoDB;

-- Counters of periods that are over: a refund lowers the one in which it was charged.
CREATE TABLE budget_periods (
  budget_id UUID   NOT NULL,
  start_ms  BIGINT NOT NULL,
  end_ms    BIGINT NOT NULL,
  used      BIGINT NOT NULL,
  PRIMARY KEY (budget_id, start_ms),
  KEY (end_ms)
) ENGINE=InnoDB;
