DELETE FROM signals WHERE execution_id = ? LIMIT 499
