-- A lane that a process has, or that pauses, keeps not_before_ms.
INSERT INTO webhook_lanes (id, workspace_id, webhook_id, due_ms, pending) VALUES {{(?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE due_ms = LEAST(due_ms, VALUES(due_ms)), pending = pending + VALUES(pending)
