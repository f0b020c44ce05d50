INSERT INTO workspaces (id, tenant_id, name, created_ms) VALUES (?, ?, ?, ?)
