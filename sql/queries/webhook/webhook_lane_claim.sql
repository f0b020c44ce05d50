UPDATE webhook_lanes SET busy = 1, not_before_ms = ?, executor_id = ? WHERE id IN ([[?]])
