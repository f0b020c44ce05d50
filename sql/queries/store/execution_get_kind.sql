SELECT kind FROM executions FORCE INDEX (PRIMARY) WHERE id = ? AND workspace_id = ?
