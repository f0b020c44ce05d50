-- For the transaction that writes rows that name these blobs, or takes names away (dead = 1).
INSERT INTO blobs (sha256, size, dead, touched_ms) VALUES {{(?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))}}
ON DUPLICATE KEY UPDATE dead = VALUES(dead), touched_ms = VALUES(touched_ms)
