SELECT id, version FROM skills WHERE workspace_id = ? AND slug = ? FOR UPDATE
