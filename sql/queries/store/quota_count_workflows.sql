SELECT COUNT(*) AS used FROM workflows WHERE workspace_id = ? AND archived_ms IS NULL
