-- The last column is 24 hours from now, by MariaDB's clock.
INSERT INTO idempotency_keys (key_hash, workspace_id, idempotency_key, fingerprint, execution_id, status, body, expires_ms)
VALUES {{(?, ?, ?, ?, ?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + 86400000)}}
