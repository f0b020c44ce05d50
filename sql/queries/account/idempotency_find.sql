-- Whether a key has expired is decided by MariaDB's clock, like its expiry when it is stored and its deletion by maintenance: a
-- host whose clock is wrong neither deletes a key that is still good nor keeps one for too short a time.
SELECT key_hash, fingerprint, execution_id, status, body, expires_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS has_expired
FROM idempotency_keys WHERE key_hash IN ([[?]])
