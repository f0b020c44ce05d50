-- The current versions and prices of the skills that are not archived.
-- Columns as in workflow_current_versions.
SELECT id, version, price FROM skills WHERE id IN ([[?]]) AND archived_ms IS NULL
