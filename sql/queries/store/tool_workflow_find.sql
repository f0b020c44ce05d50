-- The exposed workflow that has a tool's name.
SELECT id FROM workflows WHERE workspace_id = ? AND tool = ? AND archived_ms IS NULL
