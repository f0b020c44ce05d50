-- Columns as in file_get.
SELECT name, size, sha256, media_type, created_ms FROM files WHERE workspace_id = ? AND principal_id = ? AND name > ? ORDER BY name LIMIT ?
