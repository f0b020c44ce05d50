SELECT COALESCE(MAX(version), 0) AS used FROM workflows WHERE workspace_id = ?
