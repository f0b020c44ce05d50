-- Columns begin as in workflow_current.
SELECT w.id, w.name, w.version, v.credits, w.price, a.responders, w.description, w.created_by, w.created_ms, w.updated_ms,
  (SELECT e.id FROM executions e WHERE e.workspace_id = w.workspace_id AND e.responder_id = w.id ORDER BY e.id DESC LIMIT 1) AS last_run_id,
  w.tool
FROM workflows w
JOIN workflow_versions v ON v.workflow_id = w.id AND v.version = w.version
JOIN accounts a ON a.workspace_id = w.workspace_id
WHERE w.workspace_id = ? AND w.id < ? AND w.archived_ms IS NULL
ORDER BY w.id DESC
LIMIT ?
