-- Locked runs. n_rows is the number of rows that purging or removing changes; it is counted for runs with few events only, and
-- 500 stands for "many". Six rows are those of executions, execution_children, execution_chats, execution_usage,
-- execution_charges and execution_failures; a blob's row follows each artifact and the log.
SELECT id, state, purged_ms,
  IF(last_seq > 100, 500, 7 + last_seq
    + (SELECT COUNT(*) FROM execution_steps s WHERE s.execution_id = executions.id)
    + (SELECT COUNT(*) FROM signals g WHERE g.execution_id = executions.id)
    + (SELECT COUNT(*) FROM signal_tickets i WHERE i.execution_id = executions.id)
    + 2 * (SELECT COUNT(*) FROM artifacts a WHERE a.execution_id = executions.id)
    + (SELECT COUNT(*) FROM execution_tags t FORCE INDEX (execution_id) WHERE t.execution_id = executions.id)
    + (SELECT COUNT(*) FROM idempotency_keys k FORCE INDEX (execution_id) WHERE k.execution_id = executions.id)) AS n_rows
FROM executions FORCE INDEX (PRIMARY)
WHERE id IN ([[?]])
ORDER BY id
