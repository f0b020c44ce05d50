INSERT INTO workflow_versions (workflow_id, version, credits, program, created_by, created_ms)
VALUES (?, ?, ?, ?, ?, ?)
