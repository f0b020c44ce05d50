-- The budgets of a workspace whose current period is over, under the lock of its account.
-- Columns as in budget_find.
SELECT b.id, b.workspace_id, b.target_hash, b.scope, b.target, b.period, b.amount, b.soft_percent, b.used, b.start_ms, b.end_ms, b.told, a.timezone
FROM budgets b
JOIN accounts a ON a.workspace_id = b.workspace_id
WHERE b.workspace_id = ? AND b.end_ms <= ?
