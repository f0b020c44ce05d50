-- The balance equals the sum of the ledger and of what was rolled up and is never below zero.
-- Columns as in audit_active.
SELECT a.workspace_id AS subject, CONCAT('balance ', a.balance, ', ledger ', COALESCE(l.total, 0)) AS detail
FROM accounts a
LEFT JOIN (
  SELECT workspace_id, SUM(total) AS total
  FROM (
    SELECT workspace_id, SUM(amount) AS total FROM credit_ledger GROUP BY workspace_id
    UNION ALL
    SELECT workspace_id, SUM(amount) FROM ledger_rollup_sums GROUP BY workspace_id
  ) AS both_of GROUP BY workspace_id
) l ON l.workspace_id = a.workspace_id
WHERE a.balance <> COALESCE(l.total, 0) OR a.balance < 0
