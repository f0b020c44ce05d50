-- No executor has these runs from now on: they are parked, or handed back.
UPDATE execution_charges
SET time_used = time_used + GREATEST(0, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - since_ms), since_ms = NULL
WHERE execution_id IN ([[?]]) AND since_ms IS NOT NULL
