SELECT b.id, b.workspace_id, b.scope, b.target, b.period, b.amount, b.soft_percent, b.used, b.start_ms, b.end_ms, b.told, b.created_ms, b.updated_ms,
  a.timezone, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM budgets b
JOIN accounts a ON a.workspace_id = b.workspace_id
WHERE b.workspace_id = ? AND b.id = ?
