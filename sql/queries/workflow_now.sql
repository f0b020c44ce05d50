SELECT w.id, w.name, w.version, v.credits, w.price
FROM workflows w
JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
WHERE w.id = ? AND w.workspace_id = ? AND w.archived_ms IS NULL
