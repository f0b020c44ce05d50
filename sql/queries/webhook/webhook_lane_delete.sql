DELETE FROM webhook_lanes WHERE id = ?
