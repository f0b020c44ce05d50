INSERT INTO api_keys (id, workspace_id, principal_id, hash, prefix, scopes, created_ms, expires_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
