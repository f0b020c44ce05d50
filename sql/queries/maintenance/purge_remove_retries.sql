DELETE FROM execution_retries WHERE execution_id IN ([[?]])
