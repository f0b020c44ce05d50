-- One row with NULL for a workflow that calls none; no row where there is no such workflow.
SELECT c.child_id
FROM workflows w
LEFT JOIN workflow_calls c ON c.workflow_id = w.id
WHERE w.id = ? AND w.workspace_id = ? AND w.archived_ms IS NULL
