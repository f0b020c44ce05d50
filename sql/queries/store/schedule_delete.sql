DELETE FROM schedules WHERE id = ? AND workspace_id = ?
