-- The current versions and prices of the workflows that are not archived.
SELECT id, version, price FROM workflows WHERE id IN ([[?]]) AND archived_ms IS NULL
