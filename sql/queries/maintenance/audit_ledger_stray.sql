-- Ledger rows whose workspace has no account.
-- Columns as in audit_active.
SELECT l.workspace_id AS subject, CONCAT('ledger ', l.total, ', no account') AS detail
FROM (SELECT workspace_id, SUM(amount) AS total FROM credit_ledger GROUP BY workspace_id
  UNION ALL
  SELECT workspace_id, SUM(amount) FROM ledger_rollup_sums GROUP BY workspace_id) l
LEFT JOIN accounts a ON a.workspace_id = l.workspace_id
WHERE a.workspace_id IS NULL
