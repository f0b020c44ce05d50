-- What the runs that an executor is claiming need to begin. The account's limit is read after the rows were locked, which makes
-- it exact (lib/run/run_tx.c).
SELECT e.id, e.principal_id, e.input, e.tags, e.metadata, e.extra, a.max_concurrent
FROM executions e JOIN accounts a ON a.workspace_id = e.workspace_id
WHERE e.id IN ([[?]])
