SELECT COUNT(*) AS used FROM stream_tickets WHERE workspace_id = ?
