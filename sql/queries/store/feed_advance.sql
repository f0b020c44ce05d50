UPDATE feeds SET last_id = ? WHERE workspace_id = ?
