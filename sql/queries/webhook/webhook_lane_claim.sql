UPDATE webhook_lanes SET busy = 1, not_before_ms = ? WHERE id IN ([[?]])
