SELECT id, state, attempt, has_children FROM executions WHERE id IN ([[?]]) ORDER BY id FOR UPDATE
