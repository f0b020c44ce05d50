-- For the API, whose database user may not read keys: the alias if the workspace has it, or, for NULL, the default.
SELECT alias FROM models WHERE workspace_id = ? AND (alias = ? OR (? IS NULL AND is_default = 1)) LIMIT 1
