-- Marks runs below which everything is to be stopped. Their rows in `executions` are locked.
INSERT INTO stops (execution_id, workspace_id, root_id, at_ms, error, due_ms)
VALUES {{(?, ?, ?, ?, ?, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED))}}
ON DUPLICATE KEY UPDATE at_ms = VALUES(at_ms)
