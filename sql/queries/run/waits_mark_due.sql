UPDATE waits SET due = 1 WHERE execution_id IN ([[?]])
