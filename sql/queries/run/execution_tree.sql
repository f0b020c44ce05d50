-- All descendants of a root, ascending by id.
SELECT c.child_id, c.parent_id, e.state
FROM execution_children c JOIN executions e ON e.id = c.child_id
WHERE c.root_id = ?
ORDER BY c.child_id
