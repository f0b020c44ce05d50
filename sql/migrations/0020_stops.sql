-- Runs that have ended while more runs below them had not than one transaction stops. The row is the mark by which nothing of the tree
-- is accepted, claimed or woken any more; the runs below are stopped in slices, and the last slice deletes it (lib/run/stop.c).
CREATE TABLE stops (
  execution_id UUID   NOT NULL PRIMARY KEY,
  workspace_id UUID   NOT NULL,
  root_id      UUID   NOT NULL,
  at_ms        BIGINT NOT NULL,                      -- when the runs below end
  error        TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL, -- of these runs
  due_ms       BIGINT NOT NULL,                      -- when to stop the next slice
  KEY by_root (root_id),
  KEY (due_ms)
) ENGINE=InnoDB;
