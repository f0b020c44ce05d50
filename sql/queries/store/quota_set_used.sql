INSERT INTO quotas (workspace_id, name, used) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE used = VALUES(used)
