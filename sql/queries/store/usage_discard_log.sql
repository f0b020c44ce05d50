-- Marks the blobs of these runs' logs as dead, before the rows that name them are changed.
INSERT INTO blobs (sha256, size, dead, touched_ms)
SELECT log_sha256, log_size, 1, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) FROM execution_usage WHERE execution_id IN ([[?]]) AND log_sha256 IS NOT NULL
ON DUPLICATE KEY UPDATE dead = 1, touched_ms = VALUES(touched_ms)
