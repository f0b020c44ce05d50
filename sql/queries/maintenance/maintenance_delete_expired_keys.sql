-- By MariaDB's clock.
DELETE FROM idempotency_keys WHERE expires_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) LIMIT 500
