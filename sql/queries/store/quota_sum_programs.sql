-- 1024: see QUOTA_VERSION_BYTES.
SELECT CAST(COALESCE(SUM(LENGTH(v.program) + 1024), 0) AS SIGNED) AS used
FROM workflows w
JOIN workflow_versions v ON v.workflow_id = w.id
WHERE w.workspace_id = ?
