-- As purge_lock, without the rows that another transaction has locked.
-- Columns as in purge_lock.
SELECT id FROM executions FORCE INDEX (PRIMARY)
WHERE workspace_id = ? AND id IN ([[?]])
ORDER BY id
FOR UPDATE SKIP LOCKED
