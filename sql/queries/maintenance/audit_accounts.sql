SELECT workspace_id, balance, version FROM accounts ORDER BY workspace_id
