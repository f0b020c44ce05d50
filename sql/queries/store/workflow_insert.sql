INSERT INTO workflows (id, workspace_id, name, description, version, created_by, created_ms, updated_ms, tool)
VALUES (?, ?, ?, ?, 1, ?, ?, ?, ?)
