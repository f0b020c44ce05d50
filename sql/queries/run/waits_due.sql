-- The parked runs of a workspace that are due, in the order of their time, and for how long they have been. Nothing is locked.
SELECT execution_id, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - wake_ms AS due_for_ms
FROM waits FORCE INDEX (by_turn)
WHERE due = 1 AND workspace_id = ?
ORDER BY wake_ms, execution_id
LIMIT ? OFFSET ?
