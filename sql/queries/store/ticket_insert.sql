INSERT INTO stream_tickets (hash, workspace_id, execution_id, key_id, created_ms) VALUES (?, ?, ?, ?, ?)
