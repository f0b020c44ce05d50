UPDATE bulk_jobs SET reason = ?, due_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + ? WHERE id = ? AND state IN (1, 2)
