SELECT f.id, f.execution_id, e.responder_id, e.parent_id, e.kind, e.state, e.failure_reason, e.last_seq, e.ended_ms, e.tags
FROM feed_events f
JOIN executions e ON e.id = f.execution_id
WHERE f.workspace_id = ? AND f.id > ? AND f.id <= ?
ORDER BY f.id
LIMIT ?
