SELECT s.id AS session_id, s.used_ms, s.ends_ms, k.id, k.workspace_id, k.principal_id, k.scopes, k.expires_ms, k.revoked_ms,
  a.rate_limit_per_minute, q.value AS streams
FROM console_sessions s
JOIN api_keys k ON k.id = s.key_id
JOIN accounts a ON a.workspace_id = k.workspace_id
LEFT JOIN quotas q ON q.workspace_id = k.workspace_id AND q.name = 'streams'
WHERE s.hash = ?
