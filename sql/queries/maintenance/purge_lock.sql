-- Runs before they are purged or removed, in the order in which everybody locks runs.
SELECT id, state, purged_ms FROM executions FORCE INDEX (PRIMARY)
WHERE workspace_id = ? AND id IN ([[?]])
ORDER BY id
FOR UPDATE
