-- How children are getting on, and what came of those that have ended.
SELECT e.id, e.state, e.failure_reason, r.output, r.error
FROM executions e LEFT JOIN execution_results r ON r.execution_id = e.id
WHERE e.id IN ([[?]])
