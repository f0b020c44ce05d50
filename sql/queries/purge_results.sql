DELETE FROM execution_results WHERE execution_id IN ([[?]])
