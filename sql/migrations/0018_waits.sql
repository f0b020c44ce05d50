-- Runs that are parked: their state is `running`, no executor has them, and this row holds what wakes them. A row is written and
-- deleted under the lock of its execution; `due` and `wake_ms` are changed under the lock of the row alone.
CREATE TABLE waits (
  execution_id UUID             NOT NULL PRIMARY KEY,
  workspace_id UUID             NOT NULL,
  reason       TINYINT UNSIGNED NOT NULL,            -- lib/run/states.h: delay, backoff, child, signal, start
  wake_ms      BIGINT           NOT NULL,            -- when to wake it at the latest; never after the deadline
  due          TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- 1: to be woken now
  KEY by_wake (due, wake_ms),                        -- finds what becomes due
  KEY by_turn (due, workspace_id, wake_ms)           -- visits the workspaces with runs that are due in turn
) ENGINE=InnoDB;

-- When the time of a try is over, for a parked run: its time limit goes on while nobody has the run.
ALTER TABLE execution_steps ADD COLUMN timeout_ms BIGINT NULL;
