-- The states of children, with the results of those that have ended.
SELECT id, state, failure_reason, output, error FROM executions WHERE id IN ([[?]])
