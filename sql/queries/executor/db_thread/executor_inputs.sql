-- What the runs that an executor is claiming need to begin. The account's limit is read after the rows were locked, which makes
-- it exact (lib/run/run_tx.c). The marks of trees that are being stopped are read then, too (docs/correctness.md, "Stop").
SELECT e.id, e.principal_id, IF(LENGTH(e.input) > 65536, NULL, e.input) AS input, COALESCE(LENGTH(e.input), 0) AS input_bytes, e.tags, e.metadata, e.extra, a.max_concurrent, e.trace_context, e.trace_state,
  e.parent_id IS NOT NULL AND EXISTS (SELECT 1 FROM stops s WHERE s.root_id = e.root_id) AS is_marked
FROM executions e JOIN accounts a ON a.workspace_id = e.workspace_id
WHERE e.id IN ([[?]])
