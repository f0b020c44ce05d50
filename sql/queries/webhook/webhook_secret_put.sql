-- A secret that another request has made in the meantime stays.
INSERT INTO webhook_secrets (workspace_id, nonce, sealed, created_ms) SELECT w.id, ?, ?, ? FROM workspaces w WHERE w.id = ?
ON DUPLICATE KEY UPDATE created_ms = webhook_secrets.created_ms
