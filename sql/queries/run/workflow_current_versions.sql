-- The current versions of the workflows that are not archived.
SELECT id, version FROM workflows WHERE id IN ([[?]]) AND archived_ms IS NULL
