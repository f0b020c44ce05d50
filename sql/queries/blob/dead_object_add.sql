INSERT INTO dead_objects (object, sha256, touched_ms) VALUES {{(?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))}}
ON DUPLICATE KEY UPDATE object = VALUES(object)
