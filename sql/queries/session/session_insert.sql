INSERT INTO console_sessions (id, hash, key_id, operator_id, created_ms, used_ms, ends_ms) VALUES (?, ?, ?, ?, ?, ?, ?)
