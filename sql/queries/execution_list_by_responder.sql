-- The state, where one is asked for, is looked at row by row.
SELECT id FROM executions
WHERE workspace_id = ? AND responder_id = ? AND id > ? AND id < ? AND (? IS NULL OR state = ?)
ORDER BY id DESC
LIMIT ? OFFSET ?
