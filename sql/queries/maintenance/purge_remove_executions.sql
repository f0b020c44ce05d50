DELETE FROM executions WHERE id IN ([[?]])
