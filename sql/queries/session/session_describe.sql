SELECT s.created_ms, s.used_ms, s.ends_ms, k.prefix, k.scopes, k.expires_ms, k.workspace_id, w.name AS workspace
FROM console_sessions s
JOIN api_keys k ON k.id = s.key_id
JOIN workspaces w ON w.id = k.workspace_id
WHERE s.id = ?
