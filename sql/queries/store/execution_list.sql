SELECT id FROM executions FORCE INDEX (by_workspace)
WHERE workspace_id = ? AND id > ? AND id < ?
ORDER BY id DESC
LIMIT ? OFFSET ?
