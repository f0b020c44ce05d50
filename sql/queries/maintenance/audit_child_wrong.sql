-- A row of execution_children agrees with the child's execution, and the parent is marked as having children.
-- Columns as in audit_active.
SELECT c.child_id AS subject, CONCAT('parent ', c.parent_id, ', root ', c.root_id) AS detail
FROM execution_children c
LEFT JOIN executions e ON e.id = c.child_id AND e.parent_id = c.parent_id AND e.root_id = c.root_id
LEFT JOIN executions p ON p.id = c.parent_id
WHERE e.id IS NULL OR p.has_children = 0
