SELECT seq FROM signals WHERE execution_id = ? AND seq > ? ORDER BY seq LIMIT 499
