-- Pending deliveries of endpoints.
SELECT id, pending FROM webhook_lanes WHERE id IN ([[?]])
