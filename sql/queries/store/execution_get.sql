-- Columns begin as in execution_by_ids.
-- `retry` is any retry of it: nearly no execution has one, and only for the others execution_retries is run.
SELECT e.id, e.responder_id, e.root_id, e.parent_id, e.retry_of, e.kind, e.source, e.agentic, e.version, e.state, e.failure_reason, e.cost,
  e.refunded, e.started_ms, e.ended_ms, e.updated_ms, e.purged_ms, e.tags, e.metadata, e.extra, e.error, t.start_ms, t.expires_ms,
  e.trace_context, e.trace_state,
  e.input, e.output, e.has_children, r.execution_id AS retry
FROM executions e
LEFT JOIN run_times t ON t.execution_id = e.id
LEFT JOIN execution_retries r ON r.retry_of = e.id
WHERE e.id = ? AND e.workspace_id = ?
LIMIT 1
