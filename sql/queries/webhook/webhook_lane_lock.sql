SELECT failures FROM webhook_lanes WHERE id = ? FOR UPDATE
