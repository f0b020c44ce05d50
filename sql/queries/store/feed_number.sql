-- All of these rows exist.
INSERT INTO feed_events (execution_id, workspace_id, id, at_ms) VALUES {{(?, ?, ?, 0)}} ON DUPLICATE KEY UPDATE id = VALUES(id)
