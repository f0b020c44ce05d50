-- Alerts of credits (docs/budgets.md). Rows are read and written under the lock of the workspace's account only.

ALTER TABLE accounts
  ADD COLUMN alerts         TINYINT UNSIGNED NOT NULL DEFAULT 0,       -- bits of lib/account/account.h; 0: the workspace has none
  ADD COLUMN alert_below    BIGINT NOT NULL DEFAULT -1,                -- a balance of so much or less crosses a line
  ADD COLUMN alert_above    BIGINT NOT NULL DEFAULT 9223372036854775807, -- a balance above it leaves a line
  ADD COLUMN top_up         BIGINT NULL,                               -- the paid grant that started last; NULL: there was none
  ADD COLUMN spent          BIGINT NOT NULL DEFAULT 0,                 -- in the day that ends at spent_until_ms
  ADD COLUMN spent_until_ms BIGINT NOT NULL DEFAULT 0,                 -- 0: not counted
  ADD COLUMN spent_line     BIGINT NOT NULL DEFAULT 9223372036854775807; -- spending more crosses the line

UPDATE accounts a SET a.top_up = (
  SELECT g.amount FROM credit_grants g
  WHERE g.workspace_id = a.workspace_id AND g.category = 2 AND g.refund_of IS NULL AND g.amount > 0
    AND g.state <> 1 AND (g.state <> 4 OR g.ended_ms >= g.effective_ms)
  ORDER BY g.effective_ms DESC, g.id DESC
  LIMIT 1);

CREATE TABLE credit_alerts (
  workspace_id UUID             NOT NULL,
  kind         TINYINT UNSIGNED NOT NULL,              -- lib/account/alerts.h
  value        BIGINT           NOT NULL,              -- micro-credits, or percent
  at_least     BIGINT           NOT NULL DEFAULT 0,    -- of spending: the lowest line
  line         BIGINT           NULL,                  -- NULL: there is none yet
  usual        BIGINT           NULL,                  -- of spending: what is usual in a day
  since_ms     BIGINT           NOT NULL DEFAULT 0,    -- of spending: the start of the first whole day that was counted
  told         TINYINT UNSIGNED NOT NULL DEFAULT 0,
  PRIMARY KEY (workspace_id, kind, value)
) ENGINE=InnoDB;

-- What was spent in the days before: at most seven of a workspace.
CREATE TABLE credit_alert_days (
  workspace_id UUID   NOT NULL,
  end_ms       BIGINT NOT NULL,
  spent        BIGINT NOT NULL,
  PRIMARY KEY (workspace_id, end_ms)
) ENGINE=InnoDB;
