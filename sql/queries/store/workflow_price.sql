-- The operator's price of a workflow; if it has none, that of its workspace.
SELECT COALESCE((SELECT w.price FROM workflows w WHERE w.id = ? AND w.workspace_id = a.workspace_id), a.price) AS price
FROM accounts a
WHERE a.workspace_id = ?
