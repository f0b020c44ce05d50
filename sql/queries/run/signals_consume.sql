UPDATE signals SET state = 2, data = NULL WHERE execution_id = ? AND seq = ?
