UPDATE bulk_items SET outcome = ?, reason = ?, result_id = ?, decided_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
WHERE job_id = ? AND execution_id = ? AND outcome = 0
