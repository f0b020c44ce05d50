-- The budgets of these targets, under the locks of their accounts.
SELECT b.id, b.workspace_id, b.target_hash, b.scope, b.target, b.period, b.amount, b.soft_percent, b.used, b.start_ms, b.end_ms, b.told, a.timezone
FROM budgets b
JOIN accounts a ON a.workspace_id = b.workspace_id
WHERE b.target_hash IN ([[?]])
