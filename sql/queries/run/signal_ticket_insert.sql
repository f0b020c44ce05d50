INSERT INTO signal_tickets (hash, id, workspace_id, execution_id, name, key_id, created_ms, expires_ms, open_until_ms, recipient, question, choices)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
