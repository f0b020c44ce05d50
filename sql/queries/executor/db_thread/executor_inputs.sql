-- What the runs that an executor is claiming need to begin. The account's limit is read after the rows were locked, which makes
-- it exact (lib/run/run_tx.c).
SELECT e.id, e.principal_id, IF(LENGTH(e.input) > 65536, NULL, e.input) AS input, COALESCE(LENGTH(e.input), 0) AS input_bytes, e.tags, e.metadata, e.extra, a.max_concurrent, e.trace_context, e.trace_state
FROM executions e JOIN accounts a ON a.workspace_id = e.workspace_id
WHERE e.id IN ([[?]])
