-- A page of the running runs of one executor, after (workspace, id), in the order of the index.
-- Columns begin as in executor_runs.
SELECT id, attempt, workspace_id FROM executions FORCE INDEX (by_turn)
WHERE state = ? AND executor_id = ? AND (workspace_id > ? OR (workspace_id = ? AND id > ?))
ORDER BY workspace_id, id
LIMIT 64
