-- Pending deliveries that nobody will send: without a lane that is due for them, or without their message.
-- Columns as in audit_active.
SELECT d.id AS subject, CONCAT('due_ms ', d.due_ms, ', lane due_ms ', COALESCE(l.due_ms, 'none'), IF(o.body IS NULL, ', no body', '')) AS detail
FROM webhook_deliveries d
LEFT JOIN webhook_lanes l ON l.id = d.lane_id
LEFT JOIN webhook_outbox o ON o.id = d.outbox_id
WHERE d.state = 1 AND (l.id IS NULL OR l.due_ms > d.due_ms OR o.body IS NULL)
