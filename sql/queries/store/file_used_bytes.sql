SELECT CAST(COALESCE(SUM(size), 0) AS SIGNED) AS bytes FROM files WHERE workspace_id = ? AND principal_id = ?
