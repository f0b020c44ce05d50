SELECT COUNT(*) FROM executions WHERE workspace_id = ?
