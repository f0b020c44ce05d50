DELETE FROM webhook_deliveries WHERE execution_id IN ([[?]])
