-- The rows of execution_list, without its offset: one statement instead of two.
-- Columns up to trace_context as in execution_get.
SELECT responder_id, root_id, parent_id, retry_of, kind, source, agentic, version, state, failure_reason, cost,
  refunded, started_ms, ended_ms, updated_ms, purged_ms, tags, metadata, extra, error, trace_context,
  id, side_rows
FROM executions FORCE INDEX (by_workspace)
WHERE workspace_id = ? AND id > ? AND id < ?
ORDER BY id DESC
LIMIT ?
