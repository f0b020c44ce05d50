INSERT INTO retention_skipped (workspace_id, removes, execution_id, due_ms) VALUES {{(?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE due_ms = VALUES(due_ms)
