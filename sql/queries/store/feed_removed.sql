UPDATE feeds SET removed_id = GREATEST(removed_id, ?) WHERE workspace_id = ?
