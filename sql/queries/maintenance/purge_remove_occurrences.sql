DELETE FROM schedule_occurrences WHERE execution_id IN ([[?]])
