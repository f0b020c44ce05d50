-- Columns as in operator_find_workspace.
SELECT id FROM tenants WHERE name = ? ORDER BY id LIMIT 11
