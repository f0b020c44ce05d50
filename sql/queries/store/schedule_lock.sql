SELECT waiting_ms FROM schedules WHERE id = ? AND workspace_id = ? FOR UPDATE
