-- Every execution that succeeded has its result.
SELECT e.id, 'no result'
FROM executions e
LEFT JOIN execution_results r ON r.execution_id = e.id
WHERE e.state = 3 AND e.purged_ms IS NULL AND r.execution_id IS NULL
