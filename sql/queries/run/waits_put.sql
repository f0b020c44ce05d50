-- Parks runs. Their rows in `executions` are locked.
INSERT INTO waits (execution_id, workspace_id, reason, wake_ms, due, until_ms)
VALUES {{(?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE reason = VALUES(reason), wake_ms = VALUES(wake_ms), due = VALUES(due), until_ms = VALUES(until_ms)
