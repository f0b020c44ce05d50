-- What an executor reads of the runs it has just claimed.
SELECT e.id, e.principal_id, p.input, p.tags, p.metadata, p.extra
FROM executions e LEFT JOIN execution_payloads p ON p.execution_id = e.id
WHERE e.id IN ([[?]])
