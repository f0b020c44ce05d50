-- Whether a workspace has an account.
SELECT workspace_id FROM accounts WHERE workspace_id = ?
