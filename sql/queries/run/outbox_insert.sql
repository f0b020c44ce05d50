-- The body is what the message tells in "data", until it is fanned out.
INSERT INTO webhook_outbox (id, workspace_id, execution_id, webhook_id, event, at_ms, body) VALUES {{(?, ?, ?, ?, ?, ?, ?)}}
