-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT('parent ', COALESCE(e.parent_id, 'NULL'), ', root ', e.root_id) AS detail
FROM executions e
LEFT JOIN execution_children c ON c.root_id = e.root_id AND c.child_id = e.id
WHERE (e.parent_id IS NULL) <> (c.child_id IS NULL) OR (e.parent_id IS NULL AND e.root_id <> e.id)
