-- Operators look across workspaces: each filter is a value, or NULL for any.
SELECT e.id, e.workspace_id, e.responder_id, w.name, e.version, e.state, e.failure_reason, e.attempt, e.executor_id, e.cost,
  e.refunded, e.started_ms, e.ended_ms, e.parent_id
FROM executions e
LEFT JOIN workflows w ON w.id = e.responder_id
WHERE (? IS NULL OR e.workspace_id = ?) AND (? IS NULL OR e.responder_id = ?) AND (? IS NULL OR e.state = ?)
  AND (? IS NULL OR e.parent_id = ?) AND (? IS NULL OR e.id < ?)
ORDER BY e.id DESC
LIMIT ?
