SELECT key_hash, fingerprint, execution_id, status, body, expires_ms FROM idempotency_keys WHERE key_hash IN ([[?]])
