DELETE FROM idempotency_keys WHERE key_hash IN ([[?]])
