-- Columns as in artifact_list.
SELECT a.id, a.relpath, a.media_type, a.size, a.sha256
FROM artifacts a
JOIN executions e ON e.id = a.execution_id
WHERE a.execution_id = ? AND a.id = ? AND e.workspace_id = ? AND e.purged_ms IS NULL
