-- Which of these sessions have not ended, and their keys neither. Values: now, the earliest last use, now.
SELECT s.id FROM console_sessions s
JOIN api_keys k ON k.id = s.key_id
WHERE s.ends_ms > ? AND s.used_ms > ? AND k.revoked_ms IS NULL AND (k.expires_ms IS NULL OR k.expires_ms > ?) AND s.id IN ([[?]])
