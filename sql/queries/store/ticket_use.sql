-- The time of the first use is kept.
UPDATE stream_tickets SET used_ms = COALESCE(used_ms, ?) WHERE hash = ?
