SELECT e.id, e.workspace_id, e.responder_id, e.root_id, e.parent_id, e.retry_of, e.kind, e.source, e.agentic, e.version, e.state,
  e.failure_reason, e.cost, e.refunded, e.started_ms, e.ended_ms, e.updated_ms, e.purged_ms, COALESCE(w.name, s.slug), p.tags, p.metadata, p.extra, r.error
FROM executions e FORCE INDEX (PRIMARY)
LEFT JOIN workflows w ON w.id = e.responder_id
LEFT JOIN skills s ON s.id = e.responder_id
LEFT JOIN execution_payloads p ON p.execution_id = e.id
LEFT JOIN execution_results r ON r.execution_id = e.id
WHERE e.workspace_id = ? AND e.id IN ([[?]])
