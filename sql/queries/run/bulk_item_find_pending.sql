SELECT execution_id FROM bulk_items FORCE INDEX (PRIMARY) WHERE job_id = ? AND outcome = 0 AND execution_id IN ([[?]])
