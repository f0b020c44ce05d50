-- Marks the blobs of the artifacts that purge_artifacts_slice deletes.
INSERT INTO blobs (sha256, size, dead, touched_ms)
SELECT sha256, size, 1, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) FROM artifacts WHERE execution_id = ? ORDER BY id LIMIT 200
ON DUPLICATE KEY UPDATE dead = 1, touched_ms = VALUES(touched_ms)
