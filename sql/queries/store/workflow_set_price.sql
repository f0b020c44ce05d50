UPDATE workflows SET price = ? WHERE workspace_id = ? AND id = ?
