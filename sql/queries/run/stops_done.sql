DELETE FROM stops WHERE execution_id = ?
