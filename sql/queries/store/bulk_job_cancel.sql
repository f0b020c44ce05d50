UPDATE bulk_jobs SET state = 5, reason = 0, due_ms = NULL, ended_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), updated_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
WHERE id = ? AND workspace_id = ? AND state IN (1, 2, 3)
