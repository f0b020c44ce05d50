-- Those of the given runs that are parked. Rows that another transaction has locked are skipped.
-- Columns as in states_lock.
SELECT id, workspace_id, responder_id, root_id, parent_id, key_id, kind, version, depth, state, failure_reason, effects,
  attempt, losses, last_seq, executor_id, cost, refunded, started_ms, ended_ms, deadline_ms, updated_ms, webhook_events, held
FROM executions FORCE INDEX (PRIMARY)
WHERE state = ? AND executor_id = 0 AND id IN ([[?]])
ORDER BY id
FOR UPDATE SKIP LOCKED
