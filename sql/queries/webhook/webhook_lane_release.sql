UPDATE webhook_lanes SET busy = 0, not_before_ms = 0 WHERE id = ? AND busy = 1 AND executor_id = ?
