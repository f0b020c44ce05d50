SELECT COUNT(*) AS used FROM schedules WHERE workspace_id = ?
