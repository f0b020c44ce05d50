DELETE FROM secrets WHERE workspace_id = ? AND name = ?
