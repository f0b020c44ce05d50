SELECT id, state, attempt FROM executions WHERE id IN ([[?]])
