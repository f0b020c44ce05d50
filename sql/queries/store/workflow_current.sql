-- The current version without its program: what is needed to validate a run.
SELECT w.id, w.name, w.version, v.credits, w.price, a.responders
FROM workflows w
JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
JOIN accounts a ON a.workspace_id = w.workspace_id
WHERE w.id = ? AND w.workspace_id = ? AND w.archived_ms IS NULL
