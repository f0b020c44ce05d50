-- The state, where one is asked for, is looked at row by row. Left to itself the optimizer takes the workspace's range, and
-- reads the rows of all other responders.
SELECT id FROM executions FORCE INDEX (by_responder)
WHERE workspace_id = ? AND responder_id = ? AND id > ? AND id < ? AND (? IS NULL OR state = ?)
ORDER BY id DESC
LIMIT ? OFFSET ?
