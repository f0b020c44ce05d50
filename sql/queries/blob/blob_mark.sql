-- For the transaction that writes rows that name these blobs, or takes names away (dead = 1). A row keeps the object that it has.
INSERT INTO blobs (sha256, size, dead, object, touched_ms) VALUES {{(?, ?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))}}
ON DUPLICATE KEY UPDATE dead = VALUES(dead), touched_ms = VALUES(touched_ms), object = COALESCE(object, VALUES(object))
