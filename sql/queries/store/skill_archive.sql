UPDATE skills SET archived_ms = COALESCE(archived_ms, ?) WHERE workspace_id = ? AND slug = ?
