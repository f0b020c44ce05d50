-- Which of these are there: how a transaction whose commit was lost finds out.
SELECT id FROM executions WHERE id IN ([[?]])
