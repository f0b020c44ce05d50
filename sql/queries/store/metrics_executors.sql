-- Executor processes: those that count as alive, and those that were lost and are not forgotten yet.
SELECT CAST(COALESCE(SUM(lost_ms IS NULL), 0) AS SIGNED), CAST(COALESCE(SUM(lost_ms IS NOT NULL), 0) AS SIGNED) FROM executors
