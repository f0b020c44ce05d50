-- Columns as in bulk_item_list.
SELECT execution_id, outcome, reason, result_id, decided_ms FROM bulk_items FORCE INDEX (by_outcome)
WHERE job_id = ? AND outcome = ? AND execution_id > ?
ORDER BY execution_id
LIMIT ?
