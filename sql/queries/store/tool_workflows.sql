-- The exposed workflows of a workspace after a tool's name, with what a tool shows.
-- Columns begin as in workflow_current.
SELECT w.id, w.name, w.version, v.credits, w.price, a.responders, w.description, w.tool, v.program
FROM workflows w
JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
JOIN accounts a ON a.workspace_id = w.workspace_id
WHERE w.workspace_id = ? AND w.tool > ? AND w.archived_ms IS NULL
ORDER BY w.tool
LIMIT ?
