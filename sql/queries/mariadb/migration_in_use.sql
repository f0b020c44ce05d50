SELECT id FROM workspaces LIMIT 1
