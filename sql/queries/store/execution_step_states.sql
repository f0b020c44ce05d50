SELECT step, status FROM execution_steps WHERE execution_id = ? AND item = -1 ORDER BY step
