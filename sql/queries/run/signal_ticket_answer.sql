UPDATE signal_tickets SET open_until_ms = NULL, answered_ms = ?, signal_id = ? WHERE hash = ?
