-- Those of the hinted runs that can be claimed. Rows that another executor is claiming are skipped; expired roots as in states_lock_queued.
-- Columns as in states_lock.
SELECT id, workspace_id, responder_id, root_id, parent_id, key_id, kind, version, depth, state, failure_reason, effects,
  attempt, losses, last_seq, executor_id, cost, refunded, started_ms, ended_ms, deadline_ms, updated_ms, webhook_events, held
FROM executions FORCE INDEX (PRIMARY)
WHERE state = ? AND executor_id = 0 AND id IN ([[?]])
  AND (deadline_ms IS NULL OR started_ms IS NOT NULL OR parent_id IS NOT NULL OR deadline_ms > ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000))
ORDER BY id
FOR UPDATE SKIP LOCKED
