-- Columns as in execution_list.
SELECT c.child_id AS id
FROM execution_children c FORCE INDEX (by_parent_in_order)
STRAIGHT_JOIN executions e ON e.id = c.child_id
WHERE c.parent_id = ? AND e.workspace_id = ? AND c.child_id > ? AND c.child_id < ?
  AND (? IS NULL OR e.responder_id = ?) AND (? IS NULL OR e.state = ?)
ORDER BY c.child_id DESC
LIMIT ? OFFSET ?
