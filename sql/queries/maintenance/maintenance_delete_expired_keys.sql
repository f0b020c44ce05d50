DELETE FROM idempotency_keys WHERE expires_ms <= ? LIMIT 500
