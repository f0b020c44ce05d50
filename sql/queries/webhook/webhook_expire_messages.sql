DELETE FROM webhook_outbox
WHERE fanned = 1 AND id < ? AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.outbox_id = webhook_outbox.id)
ORDER BY id
LIMIT 500
