UPDATE retention SET purged_to = ?, removed_to = ?, due_ms = ?, failures = 0 WHERE workspace_id = ?
