SELECT nominal_ms, state FROM schedule_occurrences WHERE schedule_id = ? AND nominal_ms BETWEEN ? AND ? ORDER BY nominal_ms
