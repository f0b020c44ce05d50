SELECT id FROM workspaces WHERE name = ? ORDER BY id LIMIT 11
