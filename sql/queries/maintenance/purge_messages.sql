DELETE FROM webhook_outbox WHERE fanned = 0 AND execution_id IN ([[?]])
