-- Columns as in webhook_delivery_list.
SELECT d.id, d.webhook_id, d.outbox_id, d.execution_id, o.event, d.state, d.tries, d.due_ms, d.status, d.error, d.answer, d.created_ms, d.tried_ms
FROM webhook_deliveries d
JOIN webhook_outbox o ON o.id = d.outbox_id
WHERE d.webhook_id = ? AND d.workspace_id = ? AND d.id = ?
