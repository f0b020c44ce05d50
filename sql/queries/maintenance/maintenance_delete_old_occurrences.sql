-- Occurrences without a run are kept for 30 days; those with one are removed with it. One that waits (state 2) is kept.
DELETE FROM schedule_occurrences
WHERE decided_ms < CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - 30 * 86400000 AND execution_id IS NULL AND state <> 2
LIMIT 500
