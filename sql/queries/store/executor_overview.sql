-- All executor processes, with the number of their runs. Alive: as in metrics_executors. Rows of lost executors are deleted after a day.
SELECT x.id, x.host, x.pid, x.started_ms, x.beat_ms, x.lease_ms,
  x.lost_ms IS NULL AND (x.beat_ms IS NULL OR x.beat_ms > UNIX_TIMESTAMP(NOW(3)) * 1000 - x.lease_ms - 5000) AS is_alive,
  (SELECT COUNT(*) FROM executions e FORCE INDEX (by_turn) WHERE e.state = 2 AND e.executor_id = x.id) AS runs
FROM executors x
ORDER BY is_alive DESC, x.id
LIMIT 1000
