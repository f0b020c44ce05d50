-- The sums of days and of months equal the rows of the ledger that are in them and what was rolled up, and its numbers end with the last one.
-- Columns as in audit_active.
SELECT CAST(t.workspace_id AS CHAR) AS subject, CONCAT('kind ', t.kind, ': ledger ', SUM(t.ledger_n), ' rows of ', SUM(t.ledger), ', days ', SUM(t.days_n), ' of ', SUM(t.days),
  ', months ', SUM(t.months_n), ' of ', SUM(t.months)) AS detail
FROM (
  SELECT workspace_id, kind, COUNT(*) AS ledger_n, SUM(amount) AS ledger, 0 AS days_n, 0 AS days, 0 AS months_n, 0 AS months
  FROM credit_ledger WHERE number IS NOT NULL GROUP BY workspace_id, kind
  UNION ALL
  SELECT workspace_id, kind, SUM(n), SUM(amount), 0, 0, 0, 0 FROM ledger_rollup_sums GROUP BY workspace_id, kind
  UNION ALL
  SELECT workspace_id, kind, 0, 0, SUM(n), SUM(amount), 0, 0 FROM credit_sums GROUP BY workspace_id, kind
  UNION ALL
  SELECT workspace_id, kind, 0, 0, 0, 0, SUM(n), SUM(amount) FROM credit_months GROUP BY workspace_id, kind
) t
GROUP BY t.workspace_id, t.kind
HAVING SUM(t.ledger_n) <> SUM(t.days_n) OR SUM(t.ledger_n) <> SUM(t.months_n) OR SUM(t.ledger) <> SUM(t.days) OR SUM(t.ledger) <> SUM(t.months)
UNION ALL
SELECT 'ledger_numbers', CONCAT('last ', n.last, ', ledger ', MAX(l.number))
FROM ledger_numbers n
JOIN credit_ledger l ON l.number > n.last
GROUP BY n.last
