DELETE FROM webhook_outbox WHERE id IN ([[?]])
