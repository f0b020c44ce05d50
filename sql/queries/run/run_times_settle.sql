UPDATE run_times SET settled = 1 WHERE execution_id IN ([[?]])
