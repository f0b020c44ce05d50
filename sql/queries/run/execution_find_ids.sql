-- Which of these executions exist. After a lost COMMIT response this shows whether the transaction was committed.
SELECT id FROM executions WHERE id IN ([[?]])
