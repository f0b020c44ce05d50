SELECT COUNT(*) AS used FROM webhooks WHERE workspace_id = ?
