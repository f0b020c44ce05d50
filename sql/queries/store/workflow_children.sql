-- The calls of the current versions of workflows. A workflow that calls none has one row with NULL; one that does not exist has
-- no row.
SELECT w.id, c.child_id
FROM workflows w
LEFT JOIN workflow_calls c ON c.workflow_id = w.id
WHERE w.workspace_id = ? AND w.id IN ([[?]]) AND w.archived_ms IS NULL
