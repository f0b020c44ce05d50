-- Columns as in workflow_names.
SELECT id, slug AS name FROM skills WHERE id IN ([[?]])
