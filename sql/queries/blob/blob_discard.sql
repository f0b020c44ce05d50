-- Values as in blob_use.
INSERT INTO blobs (sha256, size, dead, touched_ms) VALUES {{(?, ?, 1, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))}}
ON DUPLICATE KEY UPDATE dead = 1, touched_ms = VALUES(touched_ms)
