-- How many executors are alive, and how many are marked as lost or have sent no heartbeat for their lease and 5 s more, three
-- seconds more than other executors wait before they mark it. If no executor is left, none marks the last ones. Rows of lost executors are deleted after a day.
-- And what the living ones had in flight at their last heartbeats.
SELECT CAST(COALESCE(SUM(is_alive), 0) AS SIGNED) AS alive, CAST(COALESCE(SUM(NOT is_alive), 0) AS SIGNED) AS lost,
  CAST(COALESCE(SUM(IF(is_alive, http_in_flight, 0)), 0) AS SIGNED) AS http_in_flight,
  CAST(COALESCE(SUM(IF(is_alive, http_waiting, 0)), 0) AS SIGNED) AS http_waiting,
  CAST(COALESCE(SUM(IF(is_alive, http_max, 0)), 0) AS SIGNED) AS http_max,
  CAST(COALESCE(SUM(IF(is_alive, commands, 0)), 0) AS SIGNED) AS commands
FROM (SELECT lost_ms IS NULL AND (beat_ms IS NULL OR beat_ms > UNIX_TIMESTAMP(NOW(3)) * 1000 - lease_ms - 5000) AS is_alive,
        http_in_flight, http_waiting, http_max, commands
      FROM executors) x
