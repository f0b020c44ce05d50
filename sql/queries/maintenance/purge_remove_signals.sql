DELETE FROM signals WHERE execution_id IN ([[?]])
