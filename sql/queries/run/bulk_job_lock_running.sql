-- The job of retries, running and with a valid key. The key's row is only read: a key that is revoked at this moment is noticed next time.
SELECT j.id FROM bulk_jobs j
WHERE j.id = ? AND j.state = 2 AND EXISTS (SELECT 1 FROM api_keys k WHERE k.id = j.key_id AND k.revoked_ms IS NULL
  AND (k.expires_ms IS NULL OR k.expires_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)))
FOR UPDATE
