-- The rows of execution_list_by_state, without its offset.
-- Columns as in execution_page.
SELECT responder_id, root_id, parent_id, retry_of, kind, source, agentic, version, state, failure_reason, cost,
  refunded, started_ms, ended_ms, updated_ms, purged_ms, tags, metadata, extra, error, trace_context,
  id, side_rows
FROM executions FORCE INDEX (by_state)
WHERE workspace_id = ? AND state = ? AND id > ? AND id < ?
ORDER BY id DESC
LIMIT ?
