DELETE FROM feed_events WHERE workspace_id = ? AND id <= ?
