-- Schedules that are due by MariaDB's clock, and how long the first of them has been.
SELECT COUNT(*) AS due_n, COALESCE(CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - MIN(due_ms), 0) AS lag_ms
FROM schedules
WHERE due_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
