SELECT timezone FROM accounts WHERE workspace_id = ?
