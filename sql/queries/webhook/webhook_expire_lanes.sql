-- Lanes of own webhooks that nobody has used for an hour.
DELETE FROM webhook_lanes WHERE failing IN (0, 1) AND next_ms = 9000000000000000 AND webhook_id IS NULL AND not_before_ms < ? LIMIT 500
