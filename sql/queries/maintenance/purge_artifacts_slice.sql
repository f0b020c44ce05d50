DELETE FROM artifacts WHERE execution_id = ? ORDER BY id LIMIT 200
