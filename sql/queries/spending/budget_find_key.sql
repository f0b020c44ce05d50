SELECT id FROM api_keys WHERE workspace_id = ? AND id = ?
