-- The workflows that a workflow calls. One row with NULL if it calls none; no row if the workflow does not exist.
SELECT c.child_id
FROM workflows w
LEFT JOIN workflow_calls c ON c.workflow_id = w.id
WHERE w.id = ? AND w.workspace_id = ? AND w.archived_ms IS NULL
