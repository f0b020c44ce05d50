-- Locks runs before they are changed. run_from_row in lib/run/run_tx.c reads the columns of all three states_lock queries.
SELECT id, workspace_id, responder_id, root_id, parent_id, key_id, kind, version, depth, state, failure_reason, effects,
  attempt, losses, last_seq, executor_id, cost, refunded, started_ms, ended_ms, deadline_ms
FROM executions
WHERE id IN ([[?]])
ORDER BY id
FOR UPDATE
