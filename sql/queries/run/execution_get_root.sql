SELECT root_id FROM executions WHERE id = ? AND workspace_id = ?
