SELECT id FROM api_keys WHERE workspace_id = ? AND principal_id = ? LIMIT 1
