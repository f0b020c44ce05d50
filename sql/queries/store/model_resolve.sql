-- For the API, which may not see keys: an alias of the space, or (NULL) its default.
SELECT alias FROM models WHERE workspace_id = ? AND (alias = ? OR (? IS NULL AND is_default = 1)) LIMIT 1
