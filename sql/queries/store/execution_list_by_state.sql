-- Columns as in execution_list.
SELECT id FROM executions FORCE INDEX (by_state)
WHERE workspace_id = ? AND state = ? AND id > ? AND id < ?
ORDER BY id DESC
LIMIT ? OFFSET ?
