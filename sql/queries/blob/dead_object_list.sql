-- Without a lock: an object may be removed twice.
SELECT object, sha256
FROM dead_objects
WHERE touched_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - 600000
ORDER BY touched_ms
LIMIT 100
