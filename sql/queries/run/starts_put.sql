-- Runs that wait for their start (reason 5: WAIT_START), a time that the caller has given. Their rows in `executions` are locked.
INSERT INTO waits (execution_id, workspace_id, reason, due, wake_ms)
VALUES {{(?, ?, 5, 0, ?)}}
ON DUPLICATE KEY UPDATE wake_ms = VALUES(wake_ms), due = VALUES(due)
