-- Inserts or replaces a secret. No row is affected if the workspace does not exist.
INSERT INTO secrets (workspace_id, name, nonce, sealed, updated_ms)
SELECT w.id, ?, ?, ?, ? FROM workspaces w WHERE w.id = ?
ON DUPLICATE KEY UPDATE nonce = VALUES(nonce), sealed = VALUES(sealed), updated_ms = VALUES(updated_ms)
