-- Notes accepted runs whose ids, which the host's clock made, tell another time than MariaDB's clock.
INSERT INTO retention_skipped (workspace_id, removes, execution_id, due_ms, accepted_ms) VALUES {{(?, ?, ?, ?, ?)}}
