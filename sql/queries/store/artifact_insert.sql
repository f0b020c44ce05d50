INSERT INTO artifacts (execution_id, id, relpath, media_type, size, sha256) VALUES {{(?, ?, ?, ?, ?, ?)}}
