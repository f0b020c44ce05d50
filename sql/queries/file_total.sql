SELECT CAST(COALESCE(SUM(size), 0) AS SIGNED) FROM files WHERE workspace_id = ? AND principal_id = ?
