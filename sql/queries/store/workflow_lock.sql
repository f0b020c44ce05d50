SELECT w.version, v.created_ms, v.created_by
FROM workflows w
JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
WHERE w.id = ? AND w.workspace_id = ? AND w.archived_ms IS NULL
FOR UPDATE
