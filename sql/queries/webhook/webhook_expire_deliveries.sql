DELETE FROM webhook_deliveries WHERE id < ? AND state <> 1 ORDER BY id LIMIT 500
