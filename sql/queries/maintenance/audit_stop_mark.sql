-- The run of a mark has ended, and is of the tree that the mark names.
-- Columns as in audit_active.
SELECT s.execution_id AS subject, CONCAT('marked, but in state ', COALESCE(e.state, 'NULL'), ' of the tree ', COALESCE(e.root_id, 'NULL')) AS detail
FROM stops s
LEFT JOIN executions e ON e.id = s.execution_id
WHERE e.id IS NULL OR e.state IN (1, 2) OR e.root_id <> s.root_id OR e.workspace_id <> s.workspace_id
