-- The version of a workflow that a child is started with now.
SELECT version, price FROM workflows WHERE id = ? AND workspace_id = ? AND archived_ms IS NULL
