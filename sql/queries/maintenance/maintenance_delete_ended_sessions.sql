-- By MariaDB's clock.
DELETE FROM console_sessions WHERE ends_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) LIMIT 500
