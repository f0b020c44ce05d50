SELECT id, state, attempt, ended_ms FROM executions WHERE id IN ([[?]])
