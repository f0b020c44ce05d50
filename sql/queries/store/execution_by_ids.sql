-- Columns up to trace_context as in execution_get.
SELECT e.responder_id, e.root_id, e.parent_id, e.retry_of, e.kind, e.source, e.agentic, e.version, e.state, e.failure_reason, e.cost,
  e.refunded, e.started_ms, e.ended_ms, e.updated_ms, e.purged_ms, e.tags, e.metadata, e.extra, e.error, e.trace_context,
  e.id, t.start_ms, t.expires_ms
FROM executions e FORCE INDEX (PRIMARY)
LEFT JOIN run_times t ON t.execution_id = e.id AND (e.side_rows IS NULL OR e.side_rows & 1)
WHERE e.workspace_id = ? AND e.id IN ([[?]])
