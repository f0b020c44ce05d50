SELECT type, at_ms FROM events WHERE execution_id = ? AND seq = ?
