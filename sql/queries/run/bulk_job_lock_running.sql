-- The job of retries, running and with a valid key. The row of the key, or of the operator that stands in its place, is only read: a key that is revoked at this moment is noticed next time.
SELECT j.id FROM bulk_jobs j
WHERE j.id = ? AND j.state = 2 AND (EXISTS (SELECT 1 FROM api_keys k WHERE k.id = j.key_id AND k.revoked_ms IS NULL
    AND (k.expires_ms IS NULL OR k.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)))
  OR EXISTS (SELECT 1 FROM operators o WHERE o.id = j.key_id AND o.revoked_ms IS NULL
    AND (o.expires_ms IS NULL OR o.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))))
FOR UPDATE
