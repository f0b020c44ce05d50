-- Locks runs that are to be purged or removed, in ascending order like every lock on runs.
SELECT id FROM executions FORCE INDEX (PRIMARY)
WHERE workspace_id = ? AND id IN ([[?]])
ORDER BY id
FOR UPDATE
