-- Columns begin as in execution_by_ids, without the times, which nearly no execution has: `side_rows` says whether execution_times and
-- execution_retries are to be run. Together they cost MariaDB a third of this statement if they are joined to it.
SELECT id, responder_id, root_id, parent_id, retry_of, kind, source, agentic, version, state, failure_reason, cost,
  refunded, started_ms, ended_ms, updated_ms, purged_ms, tags, metadata, extra, error, 0 AS start_ms, 0 AS expires_ms,
  trace_context, trace_state,
  input, output, has_children, side_rows
FROM executions
WHERE id = ? AND workspace_id = ?
