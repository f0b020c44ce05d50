-- The oldest runs after a cursor that were accepted before a given moment.
SELECT id, state, ended_ms, purged_ms FROM executions FORCE INDEX (by_workspace)
WHERE workspace_id = ? AND id > ? AND id < ?
ORDER BY id
LIMIT 64
