-- The current version of a workflow, with which a child is started, the operator's price, and the catalog version.
SELECT w.version, w.price, a.responders
FROM workflows w
JOIN accounts a ON a.workspace_id = w.workspace_id
WHERE w.id = ? AND w.workspace_id = ? AND w.archived_ms IS NULL
