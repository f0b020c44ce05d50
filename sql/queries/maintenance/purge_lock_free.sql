-- Columns as in purge_lock.
-- As purge_lock, but without the rows that another transaction has locked.
SELECT id, state, purged_ms,
  IF(last_seq > 100, 500, 5 + last_seq
    + (SELECT COUNT(*) FROM execution_steps s WHERE s.execution_id = executions.id)
    + 2 * (SELECT COUNT(*) FROM artifacts a WHERE a.execution_id = executions.id)
    + (SELECT COUNT(*) FROM execution_tags t FORCE INDEX (execution_id) WHERE t.execution_id = executions.id)
    + (SELECT COUNT(*) FROM idempotency_keys k FORCE INDEX (execution_id) WHERE k.execution_id = executions.id)) AS n_rows
FROM executions FORCE INDEX (PRIMARY)
WHERE workspace_id = ? AND id IN ([[?]])
ORDER BY id
FOR UPDATE SKIP LOCKED
