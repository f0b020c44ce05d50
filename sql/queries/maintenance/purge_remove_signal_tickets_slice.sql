DELETE FROM signal_tickets WHERE execution_id = ? LIMIT 499
