UPDATE schedule_occurrences SET is_open = NULL WHERE schedule_id = ? AND nominal_ms = ?
