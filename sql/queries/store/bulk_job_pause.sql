UPDATE bulk_jobs SET state = 3, reason = ?, due_ms = NULL, updated_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
WHERE id = ? AND state IN (1, 2)
