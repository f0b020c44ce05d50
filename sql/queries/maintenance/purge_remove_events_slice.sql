DELETE FROM events WHERE execution_id = ? LIMIT 499
