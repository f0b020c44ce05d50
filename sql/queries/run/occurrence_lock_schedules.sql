-- The schedules of the occurrences of a batch. The key's row is only read: a key that is revoked at this moment is noticed next time.
SELECT s.id, s.revision, s.paused, s.overlap, s.next_ms, s.waiting_ms, (SELECT COUNT(*) FROM api_keys k WHERE k.id = s.key_id AND k.revoked_ms IS NULL
    AND (k.expires_ms IS NULL OR k.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))) AS valid_keys
FROM schedules s
WHERE s.id IN ([[?]])
ORDER BY s.id
FOR UPDATE
