-- Columns as in operator_find_workspace.
SELECT id FROM skills WHERE slug = ? AND (? IS NULL OR workspace_id = ?) ORDER BY id LIMIT 11
