-- What an executor reads of the runs it is claiming. The account's limit is read after the rows were locked, see
-- core/run_write.c.
SELECT e.id, e.principal_id, p.input, p.tags, p.metadata, p.extra, a.max_concurrent
FROM executions e JOIN accounts a ON a.workspace_id = e.workspace_id
LEFT JOIN execution_payloads p ON p.execution_id = e.id
WHERE e.id IN ([[?]])
