UPDATE models SET is_default = 0 WHERE workspace_id = ?
