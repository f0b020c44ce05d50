-- The schedules of the occurrences of a batch. The row of the key, or of the operator that stands in its place, is only read: a key that is revoked at this moment is noticed next time.
SELECT s.id, s.revision, s.paused, s.overlap, s.next_ms, s.waiting_ms, (SELECT COUNT(*) FROM api_keys k WHERE k.id = s.key_id AND k.revoked_ms IS NULL
    AND (k.expires_ms IS NULL OR k.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)))
  + (SELECT COUNT(*) FROM operators o WHERE o.id = s.key_id AND o.revoked_ms IS NULL
    AND (o.expires_ms IS NULL OR o.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))) AS valid_keys
FROM schedules s
WHERE s.id IN ([[?]])
ORDER BY s.id
FOR UPDATE
