-- The oldest runs after a cursor that were accepted before a given moment, except those whose ids tell another time (see
-- retention_misdated): retention finds them among the skipped ones.
SELECT id, state, updated_ms, purged_ms, NULL AS accepted_ms FROM executions FORCE INDEX (by_workspace)
WHERE workspace_id = ? AND id > ? AND id < ?
  AND NOT EXISTS (SELECT 1 FROM retention_skipped s
                  WHERE s.workspace_id = executions.workspace_id AND s.removes = ? AND s.execution_id = executions.id AND s.accepted_ms IS NOT NULL)
ORDER BY id
LIMIT 64
