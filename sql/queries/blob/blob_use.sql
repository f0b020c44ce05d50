-- For the transaction that writes rows that name these blobs.
INSERT INTO blobs (sha256, size, dead, touched_ms) VALUES {{(?, ?, 0, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))}}
ON DUPLICATE KEY UPDATE dead = 0, touched_ms = VALUES(touched_ms)
