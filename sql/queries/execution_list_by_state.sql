SELECT id FROM executions
WHERE workspace_id = ? AND state = ? AND id > ? AND id < ?
ORDER BY id DESC
LIMIT ? OFFSET ?
