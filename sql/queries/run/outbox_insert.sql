INSERT INTO webhook_outbox (id, workspace_id, execution_id, webhook_id, event, at_ms) VALUES {{(?, ?, ?, ?, ?, ?)}}
