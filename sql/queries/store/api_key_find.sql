SELECT k.id, k.workspace_id, k.principal_id, k.scopes, k.expires_ms, k.revoked_ms, k.last_used_ms, a.rate_limit_per_minute, a.frozen,
  q.value AS streams
FROM api_keys k
JOIN accounts a ON a.workspace_id = k.workspace_id
LEFT JOIN quotas q ON q.workspace_id = k.workspace_id AND q.name = 'streams'
WHERE k.hash = ?
