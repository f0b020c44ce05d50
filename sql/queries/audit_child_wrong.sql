-- A child's row and its place in the tree say the same.
SELECT c.child_id, CONCAT('parent ', c.parent_id, ', root ', c.root_id)
FROM execution_children c
LEFT JOIN executions e ON e.id = c.child_id AND e.parent_id = c.parent_id AND e.root_id = c.root_id
WHERE e.id IS NULL
