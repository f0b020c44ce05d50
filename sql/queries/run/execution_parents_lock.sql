SELECT id, state, attempt FROM executions WHERE id IN ([[?]]) ORDER BY id FOR UPDATE
