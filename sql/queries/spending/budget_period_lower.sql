UPDATE budget_periods SET used = used - ? WHERE budget_id = ? AND start_ms = ?
