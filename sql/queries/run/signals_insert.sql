INSERT INTO signals (execution_id, seq, id, name, state, step, item, at_ms, sender, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
