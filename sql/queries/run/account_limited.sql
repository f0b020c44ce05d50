SELECT workspace_id FROM accounts WHERE workspace_id IN ([[?]]) AND max_concurrent IS NOT NULL
