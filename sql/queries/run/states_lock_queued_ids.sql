-- Those of the hinted runs that are still queued. Rows that another executor is claiming are skipped.
-- Columns as in states_lock.
SELECT id, workspace_id, responder_id, root_id, parent_id, key_id, kind, version, depth, state, failure_reason, effects,
  attempt, losses, last_seq, executor_id, cost, refunded, started_ms, ended_ms, deadline_ms, updated_ms
FROM executions FORCE INDEX (PRIMARY)
WHERE state = ? AND id IN ([[?]])
ORDER BY id
FOR UPDATE SKIP LOCKED
