-- Columns as in operator_find_workspace.
SELECT id FROM api_keys WHERE workspace_id = ? AND prefix = ? ORDER BY id LIMIT 11
