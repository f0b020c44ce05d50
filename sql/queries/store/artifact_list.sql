SELECT a.id, a.relpath, a.media_type, a.size, a.sha256
FROM artifacts a
JOIN executions e ON e.id = a.execution_id
WHERE a.execution_id = ? AND e.purged_ms IS NULL
ORDER BY a.relpath, a.id
