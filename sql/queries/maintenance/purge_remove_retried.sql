DELETE FROM execution_retries WHERE retry_of IN ([[?]])
