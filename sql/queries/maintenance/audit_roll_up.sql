-- What was rolled up is what was removed; a month that is done has a checksum; months are rolled up one after the other, and every sum
-- belongs to one.
-- Columns as in audit_active.
SELECT r.workspace_id AS subject, CONCAT('month ', r.month, ': removed ', r.n, ' rows of ', r.amount, ', sums ', COALESCE(SUM(s.n), 0), ' of ', COALESCE(SUM(s.amount), 0)) AS detail
FROM ledger_rollups r
LEFT JOIN ledger_rollup_sums s ON s.workspace_id = r.workspace_id
  AND s.day >= DATEDIFF(MAKEDATE(r.month DIV 12, 1) + INTERVAL r.month MOD 12 MONTH, '1970-01-01')
  AND s.day < DATEDIFF(MAKEDATE(r.month DIV 12, 1) + INTERVAL r.month MOD 12 + 1 MONTH, '1970-01-01')
GROUP BY r.workspace_id, r.month, r.n, r.amount
HAVING r.n <> COALESCE(SUM(s.n), 0) OR r.amount <> COALESCE(SUM(s.amount), 0)
UNION ALL
SELECT r.workspace_id, CONCAT('month ', r.month, ', state ', r.state, ', checksum ', COALESCE(HEX(r.checksum), 'none'))
FROM ledger_rollups r
WHERE r.state NOT IN (1, 2) OR (r.state = 2) <> (r.checksum IS NOT NULL) OR (r.state = 2) <> (r.ended_ms IS NOT NULL)
  OR (r.state = 1 AND EXISTS (SELECT 1 FROM ledger_rollups later WHERE later.workspace_id = r.workspace_id AND later.month > r.month))
UNION ALL
SELECT s.workspace_id, CONCAT('day ', s.day, ': sums without a month that was rolled up')
FROM (SELECT workspace_id, day FROM ledger_rollup_sums GROUP BY workspace_id, day) s
LEFT JOIN ledger_rollups r ON r.workspace_id = s.workspace_id
  AND r.month = 12 * YEAR('1970-01-01' + INTERVAL s.day DAY) + MONTH('1970-01-01' + INTERVAL s.day DAY) - 1
WHERE r.month IS NULL
UNION ALL
SELECT b.workspace_id, CONCAT('month ', b.month, ': budgets without a month that was rolled up')
FROM ledger_rollup_budgets b
LEFT JOIN ledger_rollups r ON r.workspace_id = b.workspace_id AND r.month = b.month
WHERE r.month IS NULL
