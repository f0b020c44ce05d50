SELECT execution_id, outcome, reason, result_id, decided_ms FROM bulk_items FORCE INDEX (PRIMARY)
WHERE job_id = ? AND execution_id > ?
ORDER BY execution_id
LIMIT ?
