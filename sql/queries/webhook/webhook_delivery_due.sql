-- The due deliveries of a lane, with their messages.
SELECT d.id, d.outbox_id, d.url, d.tries, d.created_ms, o.body, o.execution_id, e.root_id, e.trace_context, e.trace_state
FROM webhook_deliveries d FORCE INDEX (by_lane)
JOIN webhook_outbox o ON o.id = d.outbox_id
LEFT JOIN executions e ON e.id = o.execution_id
WHERE d.lane_id = ? AND d.state = 1 AND d.due_ms <= ?
ORDER BY d.due_ms
LIMIT ?
