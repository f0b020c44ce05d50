-- How many executors are alive, and how many are marked as lost or have sent no heartbeat for their lease and 5 s more, three
-- seconds more than other executors wait before they mark it. If no executor is left, none marks the last ones. Rows of lost executors are deleted after a day.
SELECT CAST(COALESCE(SUM(is_alive), 0) AS SIGNED) AS alive, CAST(COALESCE(SUM(NOT is_alive), 0) AS SIGNED) AS lost
FROM (SELECT lost_ms IS NULL AND (beat_ms IS NULL OR beat_ms > UNIX_TIMESTAMP(NOW(3)) * 1000 - lease_ms - 5000) AS is_alive FROM executors) x
