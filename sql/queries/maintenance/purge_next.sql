SELECT execution_id, removes, stage, step, item FROM purges
WHERE due_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
ORDER BY due_ms
LIMIT 1
FOR UPDATE SKIP LOCKED
