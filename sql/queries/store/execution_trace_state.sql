SELECT trace_state FROM executions FORCE INDEX (PRIMARY) WHERE id = ? AND workspace_id = ?
