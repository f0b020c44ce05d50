INSERT INTO quotas (workspace_id, name, value) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE value = VALUES(value)
