DELETE FROM run_times WHERE execution_id IN ([[?]])
