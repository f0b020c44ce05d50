INSERT INTO webhook_deliveries (id, workspace_id, webhook_id, outbox_id, execution_id, lane_id, url, state, due_ms, error, created_ms)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
