DELETE FROM models WHERE workspace_id = ? AND alias = ?
