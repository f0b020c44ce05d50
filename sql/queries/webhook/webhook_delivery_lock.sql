SELECT id, tries FROM webhook_deliveries WHERE id IN ([[?]]) AND state = 1 ORDER BY id FOR UPDATE
