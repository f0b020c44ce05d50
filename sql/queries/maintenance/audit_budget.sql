-- The counter of each period of a budget equals what the ledger's rows that name it say; an account knows whether it has budgets.
-- A mark in credit_ledger.budgets is 16 bytes of id and 8 of the period's start (lib/spending/budget.h).
-- Columns as in audit_active.
SELECT p.budget_id AS subject, CONCAT('period that begins at ', p.start_ms, ': counter ', p.used, ', ledger ', COALESCE(s.used, 0)) AS detail
FROM (
  SELECT id AS budget_id, start_ms, used FROM budgets
  UNION ALL
  SELECT budget_id, start_ms, used FROM budget_periods
) p
LEFT JOIN (
  SELECT budget, start_ms, SUM(used) AS used
  FROM (
  SELECT STRAIGHT_JOIN SUBSTR(l.budgets, 1 + 24 * n.i, 16) AS budget,
    CAST(CONV(HEX(SUBSTR(l.budgets, 17 + 24 * n.i, 8)), 16, 10) AS SIGNED) AS start_ms, -SUM(l.amount) AS used
  FROM (SELECT DISTINCT workspace_id FROM budgets) w
  JOIN credit_ledger l ON l.workspace_id = w.workspace_id
  JOIN (
    SELECT 0 AS i UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3
    UNION ALL SELECT 4 UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7
  ) n ON LENGTH(l.budgets) > 24 * n.i
  WHERE l.budgets IS NOT NULL
  GROUP BY 1, 2
  UNION ALL
  SELECT UNHEX(REPLACE(r.budget_id, '-', '')), r.start_ms, -SUM(r.amount) FROM ledger_rollup_budgets r GROUP BY r.budget_id, r.start_ms
  ) AS both_of
  GROUP BY budget, start_ms
) s ON s.budget = UNHEX(REPLACE(p.budget_id, '-', '')) AND s.start_ms = p.start_ms
WHERE p.used <> COALESCE(s.used, 0) OR p.used < 0
UNION ALL
SELECT p.budget_id, 'a period without its budget'
FROM budget_periods p
LEFT JOIN budgets b ON b.id = p.budget_id
WHERE b.id IS NULL
UNION ALL
SELECT a.workspace_id, CONCAT('budgets ', a.budgets, ', rows ', COALESCE(b.flags, 0))
FROM accounts a
LEFT JOIN (SELECT workspace_id, 1 + 2 * MAX(scope = 5) AS flags FROM budgets GROUP BY workspace_id) b ON b.workspace_id = a.workspace_id
WHERE a.budgets <> COALESCE(b.flags, 0)
UNION ALL
SELECT r.id, 'a refund that names other budgets than its debit'
FROM credit_ledger r
JOIN credit_ledger d ON d.workspace_id = r.workspace_id AND d.id = r.execution_id
WHERE r.kind IN (3, 6) AND r.budgets IS NOT NULL AND (d.budgets IS NULL OR d.budgets <> r.budgets)
