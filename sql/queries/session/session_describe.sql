SELECT s.created_ms, s.used_ms, s.ends_ms, k.prefix, k.scopes, k.expires_ms, k.workspace_id, w.name AS workspace,
  o.id AS operator_id, o.name, o.role, o.expires_ms AS operator_expires_ms
FROM console_sessions s
LEFT JOIN api_keys k ON k.id = s.key_id
LEFT JOIN workspaces w ON w.id = k.workspace_id
LEFT JOIN operators o ON o.id = s.operator_id
WHERE s.id = ?
