DELETE FROM files WHERE workspace_id = ? AND principal_id = ? AND name = ?
