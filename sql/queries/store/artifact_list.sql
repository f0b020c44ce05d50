SELECT id, relpath, media_type, size, sha256 FROM artifacts WHERE execution_id = ? ORDER BY relpath, id
