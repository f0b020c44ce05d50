-- The current version of a workflow, with which a child is started, and the operator's price.
SELECT version, price FROM workflows WHERE id = ? AND workspace_id = ? AND archived_ms IS NULL
