SELECT executor_id, pending FROM webhook_lanes WHERE id = ? FOR UPDATE
