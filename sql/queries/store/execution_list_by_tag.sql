-- Columns as in execution_list.
SELECT t.execution_id AS id
FROM execution_tags t FORCE INDEX (PRIMARY)
STRAIGHT_JOIN executions e ON e.id = t.execution_id
WHERE t.workspace_id = ? AND t.tag = ? AND t.execution_id > ? AND t.execution_id < ?
  AND (? IS NULL OR e.responder_id = ?) AND (? IS NULL OR e.state = ?) AND (? IS NULL OR e.parent_id = ?)
ORDER BY t.execution_id DESC
LIMIT ? OFFSET ?
