-- Stores the bodies of locked messages.
INSERT INTO webhook_outbox (id, workspace_id, event, at_ms, fanned, body) VALUES {{(?, ?, ?, ?, 1, ?)}}
ON DUPLICATE KEY UPDATE fanned = 1, body = VALUES(body)
