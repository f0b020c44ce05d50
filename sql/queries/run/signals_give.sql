UPDATE signals SET state = 1, step = ?, item = ? WHERE execution_id = ? AND seq = ?
