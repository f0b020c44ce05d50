-- Parks runs. Their rows in `executions` are locked. The time until a run is woken counts from MariaDB's time, by which it becomes due: the clock of
-- the host that parks it may be another.
INSERT INTO waits (execution_id, workspace_id, reason, due, until_ms, wake_ms)
VALUES {{(?, ?, ?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + ?)}}
ON DUPLICATE KEY UPDATE reason = VALUES(reason), wake_ms = VALUES(wake_ms), due = VALUES(due), until_ms = VALUES(until_ms)
