SELECT delayed_runs AS used FROM accounts WHERE workspace_id = ?
