UPDATE bulk_jobs j SET j.state = 4, j.due_ms = NULL, j.ended_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), j.updated_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
WHERE j.id = ? AND j.state = 2 AND NOT EXISTS (SELECT 1 FROM bulk_items i WHERE i.job_id = j.id AND i.outcome = 0)
