UPDATE signals SET data = NULL, sender = '{}' WHERE execution_id = ? AND seq > ? AND seq <= ?
