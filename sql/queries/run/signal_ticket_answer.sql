UPDATE signal_tickets SET open_until_ms = NULL, question = NULL, choices = NULL, answered_ms = ?, signal_id = ? WHERE hash = ?
