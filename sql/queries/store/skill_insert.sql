INSERT INTO skills (id, workspace_id, slug, version, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?)
