-- The first time stands.
UPDATE stream_tickets SET used_ms = COALESCE(used_ms, ?) WHERE hash = ?
