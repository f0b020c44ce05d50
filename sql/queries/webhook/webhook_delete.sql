DELETE FROM webhooks WHERE workspace_id = ? AND id = ?
