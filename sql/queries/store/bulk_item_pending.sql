SELECT execution_id FROM bulk_items FORCE INDEX (by_outcome)
WHERE job_id = ? AND outcome = 0
ORDER BY execution_id
LIMIT ?
