DELETE FROM execution_steps WHERE execution_id = ? LIMIT 499
