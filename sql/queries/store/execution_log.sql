SELECT e.state, e.attempt, e.purged_ms IS NOT NULL AS is_purged, u.log_sha256, u.log_size
FROM executions e
LEFT JOIN execution_usage u ON u.execution_id = e.id
WHERE e.id = ? AND e.workspace_id = ?
