SELECT id FROM workflows WHERE workspace_id = ? AND id = ?
UNION ALL
SELECT id FROM skills WHERE workspace_id = ? AND id = ?
