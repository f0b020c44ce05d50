DELETE FROM execution_usage WHERE execution_id IN ([[?]])
