-- Marks the blobs of these runs' artifacts as dead, before the rows that name them are deleted.
INSERT INTO blobs (sha256, size, dead, touched_ms)
SELECT sha256, size, 1, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) FROM artifacts WHERE execution_id IN ([[?]])
ON DUPLICATE KEY UPDATE dead = 1, touched_ms = VALUES(touched_ms)
