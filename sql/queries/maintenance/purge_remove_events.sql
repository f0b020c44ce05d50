DELETE FROM events WHERE execution_id IN ([[?]])
