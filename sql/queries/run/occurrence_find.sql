SELECT state, execution_id FROM schedule_occurrences WHERE schedule_id = ? AND nominal_ms = ?
