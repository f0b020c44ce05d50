UPDATE accounts SET responders = responders + 1 WHERE workspace_id = ?
