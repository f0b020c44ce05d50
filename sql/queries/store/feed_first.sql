-- Whether the first row with an id is older than the time of keeping. Asked of one feed at a time: as a subquery of another statement it reads
-- all rows without an id, of which there may be millions.
SELECT at_ms < CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - ? AS is_old
FROM feed_events FORCE INDEX (by_id)
WHERE workspace_id = ? AND id IS NOT NULL
ORDER BY id
LIMIT 1
