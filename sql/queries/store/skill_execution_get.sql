-- Columns begin as in skill_execution_children.
SELECT e.id, w.tenant_id, e.workspace_id, e.principal_id, s.slug, v.label, e.source, e.state, e.parent_id, e.started_ms, e.ended_ms,
  e.failure_reason, u.input_tokens, u.output_tokens, u.cost, u.wallclock_ms, u.iterations,
  u.trace_id, e.input, e.extra, e.output, e.error, c.thread_id, c.message_id, c.tool_call_id
FROM executions e
JOIN workspaces w ON w.id = e.workspace_id
JOIN skills s ON s.id = e.responder_id
JOIN skill_versions v ON v.skill_id = e.responder_id AND v.version = e.version
LEFT JOIN execution_usage u ON u.execution_id = e.id
LEFT JOIN execution_chats c ON c.execution_id = e.id
WHERE e.id = ? AND e.workspace_id = ? AND e.kind = 2
