DELETE FROM webhook_outbox WHERE fanned <> 1 AND execution_id IN ([[?]])
