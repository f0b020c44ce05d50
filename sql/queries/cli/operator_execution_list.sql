-- Operators look across workspaces: each filter is a value, or NULL for any.
SELECT e.id, e.workspace_id, p.name AS workspace, e.responder_id, COALESCE(w.name, s.slug) AS name, e.version, e.state, e.failure_reason,
  e.attempt, NULLIF(e.executor_id, 9223372036854775807) AS executor_id, e.cost, e.refunded, e.started_ms, e.ended_ms, e.parent_id, LEFT(e.error, 1000) AS error
FROM executions e
LEFT JOIN workspaces p ON p.id = e.workspace_id
LEFT JOIN workflows w ON w.id = e.responder_id
LEFT JOIN skills s ON s.id = e.responder_id
WHERE (? IS NULL OR e.workspace_id = ?) AND (? IS NULL OR e.responder_id = ?) AND (? IS NULL OR e.state = ?)
  AND (? IS NULL OR e.parent_id = ?) AND (? IS NULL OR e.id < ?)
ORDER BY e.id DESC
LIMIT ?
