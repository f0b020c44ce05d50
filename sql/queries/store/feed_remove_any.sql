DELETE FROM feed_events WHERE workspace_id = ? LIMIT 500
