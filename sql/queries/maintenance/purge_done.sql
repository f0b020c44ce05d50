DELETE FROM purges WHERE execution_id = ?
