DELETE FROM signal_waits WHERE execution_id IN ([[?]])
