UPDATE retention SET purged_to = ?, removed_to = ?, due_ms = ? WHERE workspace_id = ?
