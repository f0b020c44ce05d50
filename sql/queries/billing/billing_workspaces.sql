-- Workspaces between two ids, by name.
SELECT w.id, w.name, a.timezone FROM workspaces w LEFT JOIN accounts a ON a.workspace_id = w.id
WHERE w.id BETWEEN ? AND ?
ORDER BY w.name, w.id
