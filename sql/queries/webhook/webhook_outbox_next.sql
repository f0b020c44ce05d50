-- The oldest messages without deliveries, with what their bodies say of the runs.
SELECT o.id, o.workspace_id, o.execution_id, o.webhook_id, o.event, o.at_ms, e.kind, e.responder_id, e.root_id, e.parent_id, e.state,
  e.failure_reason, e.cost, e.refunded, e.started_ms, e.ended_ms, e.tags, e.webhook_events, e.webhook_url, e.purged_ms,
  o.body
FROM webhook_outbox o
LEFT JOIN executions e ON e.id = o.execution_id
WHERE o.id IN ([[?]])
ORDER BY o.id
