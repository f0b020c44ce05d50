UPDATE webhook_deliveries SET state = 3, error = ? WHERE lane_id = ? AND state = 1 LIMIT 500
