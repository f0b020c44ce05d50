-- The oldest queued runs of a workspace after a given one. Rows that another executor is claiming are skipped.
-- Columns as in states_lock.
SELECT id, workspace_id, responder_id, root_id, parent_id, key_id, kind, version, depth, state, failure_reason, effects,
  attempt, losses, last_seq, executor_id, cost, refunded, started_ms, ended_ms, deadline_ms, updated_ms
FROM executions FORCE INDEX (by_turn)
WHERE state = ? AND executor_id = 0 AND workspace_id = ? AND id > ?
ORDER BY id
LIMIT ?
FOR UPDATE SKIP LOCKED
