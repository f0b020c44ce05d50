SELECT COUNT(*) AS used FROM files WHERE workspace_id = ?
