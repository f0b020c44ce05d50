-- Locks runs before they are changed.
SELECT id, workspace_id, responder_id, root_id, parent_id, key_id, kind, version, depth, state, failure_reason, effects,
  attempt, losses, last_seq, executor_id, cost, refunded, started_ms, ended_ms, deadline_ms, updated_ms, webhook_events, held
FROM executions
WHERE id IN ([[?]])
ORDER BY id
FOR UPDATE
