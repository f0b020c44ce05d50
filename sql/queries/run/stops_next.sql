-- The mark that is due for longest. One that another process works on is skipped.
SELECT execution_id, workspace_id, root_id, at_ms, error FROM stops
WHERE due_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
ORDER BY due_ms
LIMIT 1
FOR UPDATE SKIP LOCKED
