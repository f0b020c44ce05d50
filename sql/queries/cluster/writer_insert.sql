-- The first writer. Changes nothing if there is one.
INSERT INTO cluster_writer (id, node, since_ms) VALUES (?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))
ON DUPLICATE KEY UPDATE node = cluster_writer.node
