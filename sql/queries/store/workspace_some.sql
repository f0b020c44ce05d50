-- Columns as in workspace_page.
SELECT w.id, w.tenant_id, w.name, w.created_ms, a.balance, a.rate_limit_per_minute, a.max_concurrent, a.active, a.price
FROM workspaces w
JOIN accounts a ON a.workspace_id = w.id
WHERE w.id IN ([[?]])
