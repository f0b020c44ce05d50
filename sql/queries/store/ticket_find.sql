SELECT t.workspace_id, t.key_id, t.created_ms, t.used_ms, x.ended_ms, k.revoked_ms, k.expires_ms,
  a.rate_limit_per_minute, q.value AS streams
FROM stream_tickets t
JOIN executions x ON x.workspace_id = t.workspace_id AND x.id = t.execution_id
JOIN api_keys k ON k.workspace_id = t.workspace_id AND k.id = t.key_id
JOIN accounts a ON a.workspace_id = t.workspace_id
LEFT JOIN quotas q ON q.workspace_id = t.workspace_id AND q.name = 'streams'
WHERE t.hash = ? AND t.execution_id = ?
