INSERT INTO events (execution_id, seq, type, at_ms, data) VALUES {{(?, ?, ?, ?, ?)}}
