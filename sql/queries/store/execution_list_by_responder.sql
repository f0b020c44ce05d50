-- Rows are filtered by the state, if one is given. Without FORCE INDEX the optimizer takes the range of the whole workspace and
-- reads the rows of all other responders.
-- Columns as in execution_list.
SELECT id FROM executions FORCE INDEX (by_responder)
WHERE workspace_id = ? AND responder_id = ? AND id > ? AND id < ? AND (? IS NULL OR state = ?)
ORDER BY id DESC
LIMIT ? OFFSET ?
