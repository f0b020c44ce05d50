SELECT id, workspace_id, principal_id, prefix, scopes, created_ms, expires_ms, revoked_ms, last_used_ms
FROM api_keys
WHERE workspace_id = ?
ORDER BY id
