-- With the key or the operator that it belongs to.
SELECT s.id AS session_id, s.used_ms, s.ends_ms, k.id, k.workspace_id, k.principal_id, k.scopes, k.expires_ms, k.revoked_ms,
  a.rate_limit_per_minute, a.frozen, q.value AS streams, o.id AS operator_id, o.name, o.role, o.expires_ms AS operator_expires_ms,
  o.revoked_ms AS operator_revoked_ms
FROM console_sessions s
LEFT JOIN api_keys k ON k.id = s.key_id
LEFT JOIN accounts a ON a.workspace_id = k.workspace_id
LEFT JOIN quotas q ON q.workspace_id = k.workspace_id AND q.name = 'streams'
LEFT JOIN operators o ON o.id = s.operator_id
WHERE s.hash = ?
