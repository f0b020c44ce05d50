SELECT seq FROM events WHERE execution_id = ? AND seq > ? ORDER BY seq LIMIT 499
