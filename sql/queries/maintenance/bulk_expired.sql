-- The next job that ended too long ago.
SELECT id FROM bulk_jobs WHERE ended_ms < CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - ? ORDER BY ended_ms LIMIT 1
