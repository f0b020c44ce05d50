-- The failed runs of each workspace, for GET /executions/errors and the filters by error: one row is written when a run fails
-- (lib/run/run_tx.c) and deleted when it is purged or removed. Runs that had failed before have none.
CREATE TABLE execution_failures (
  workspace_id UUID             NOT NULL,
  execution_id UUID             NOT NULL,
  responder_id UUID             NOT NULL,
  kind         TINYINT UNSIGNED NOT NULL,         -- 1 workflow, 2 skill
  reason       TINYINT UNSIGNED NOT NULL,
  step         VARBINARY(64)    NULL,             -- name of the step that failed; NULL: none
  hash         BIGINT           NOT NULL,         -- error_hash (lib/run/error_hash.h)
  ended_ms     BIGINT           NOT NULL,
  PRIMARY KEY (workspace_id, execution_id),
  UNIQUE KEY by_execution (execution_id)
) ENGINE=InnoDB;
