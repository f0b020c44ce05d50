INSERT INTO idempotency_keys (key_hash, workspace_id, idempotency_key, fingerprint, execution_id, status, body, expires_ms)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?)}}
