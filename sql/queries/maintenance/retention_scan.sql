-- The oldest runs behind a cursor, and from before a moment.
SELECT id, state, purged_ms FROM executions FORCE INDEX (by_workspace)
WHERE workspace_id = ? AND id > ? AND id < ?
ORDER BY id
LIMIT ?
