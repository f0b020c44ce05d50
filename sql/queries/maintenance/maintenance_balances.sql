SELECT workspace_id, balance, version FROM accounts WHERE workspace_id > ? ORDER BY workspace_id LIMIT 500
