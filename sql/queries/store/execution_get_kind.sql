SELECT kind FROM executions WHERE id = ? AND workspace_id = ?
