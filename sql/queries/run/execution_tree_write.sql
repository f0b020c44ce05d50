INSERT INTO execution_trees (root_id, size)
VALUES {{(?, ?)}}
ON DUPLICATE KEY UPDATE size = VALUES(size)
