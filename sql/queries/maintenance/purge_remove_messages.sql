DELETE FROM webhook_outbox WHERE execution_id IN ([[?]])
