-- The workspace that an operator's request names, with what its requests need.
SELECT w.id, q.value AS streams, a.frozen
FROM workspaces w
JOIN accounts a ON a.workspace_id = w.id
LEFT JOIN quotas q ON q.workspace_id = w.id AND q.name = 'streams'
WHERE w.id = ?
