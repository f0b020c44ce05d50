DELETE FROM credit_alerts WHERE workspace_id = ?
