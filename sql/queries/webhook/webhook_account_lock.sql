SELECT workspace_id FROM accounts WHERE workspace_id = ? FOR UPDATE
