-- Columns begin as in execution_by_ids.
SELECT id, responder_id, root_id, parent_id, retry_of, kind, source, agentic, version, state, failure_reason, cost, refunded,
  started_ms, ended_ms, updated_ms, purged_ms, tags, metadata, extra, error, input, output, has_children
FROM executions
WHERE id = ? AND workspace_id = ?
