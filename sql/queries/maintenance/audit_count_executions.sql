SELECT COUNT(*) AS n FROM executions WHERE workspace_id = ?
