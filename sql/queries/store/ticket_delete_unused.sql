DELETE FROM stream_tickets WHERE used_ms IS NULL AND created_ms < ? LIMIT 500
