-- The current versions of the skills that are not archived.
SELECT id, version FROM skills WHERE id IN ([[?]]) AND archived_ms IS NULL
