-- Which of these sessions have not ended, and their keys or operators neither. Values: now, the earliest last use, now.
SELECT s.id FROM console_sessions s
LEFT JOIN api_keys k ON k.id = s.key_id
LEFT JOIN operators o ON o.id = s.operator_id
WHERE s.ends_ms > ? AND s.used_ms > ? AND COALESCE(k.id, o.id) IS NOT NULL AND COALESCE(k.revoked_ms, o.revoked_ms) IS NULL
  AND COALESCE(k.expires_ms, o.expires_ms, 9223372036854775807) > ? AND s.id IN ([[?]])
