SELECT id, state, attempt, last_seq, has_children FROM executions WHERE id IN ([[?]]) ORDER BY id FOR UPDATE
