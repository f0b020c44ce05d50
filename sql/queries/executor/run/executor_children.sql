-- How children are getting on, and what came of those that have ended.
SELECT id, state, failure_reason, output, error FROM executions WHERE id IN ([[?]])
