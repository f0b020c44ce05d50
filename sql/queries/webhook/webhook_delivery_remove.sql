DELETE FROM webhook_deliveries WHERE lane_id = ? LIMIT 500
