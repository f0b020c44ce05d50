INSERT INTO files (workspace_id, principal_id, name, size, sha256, media_type, created_ms) VALUES {{(?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE size = VALUES(size), sha256 = VALUES(sha256), media_type = VALUES(media_type), created_ms = VALUES(created_ms)
