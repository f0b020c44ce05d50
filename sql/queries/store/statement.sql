-- Of all workspaces, or of one: the sums of the ledger before an id, and from it to another one.
SELECT w.id, w.name, CAST(COALESCE(SUM(IF(l.id < ?, l.amount, 0)), 0) AS SIGNED) AS opening,
  CAST(COALESCE(SUM(IF(l.id >= ? AND l.kind = 1, l.amount, 0)), 0) AS SIGNED) AS grants,
  CAST(COALESCE(-SUM(IF(l.id >= ? AND l.kind = 2, l.amount, 0)), 0) AS SIGNED) AS usage_sum,
  CAST(COALESCE(SUM(IF(l.id >= ? AND l.kind = 3, l.amount, 0)), 0) AS SIGNED) AS refunds,
  CAST(COALESCE(SUM(l.id >= ? AND l.kind = 2), 0) AS SIGNED) AS runs,
  CAST(COALESCE(-SUM(IF(l.id >= ? AND l.kind = 4, l.amount, 0)), 0) AS SIGNED) AS expired,
  CAST(COALESCE(-SUM(IF(l.id >= ? AND l.kind = 5, l.amount, 0)), 0) AS SIGNED) AS voided
FROM workspaces w
LEFT JOIN credit_ledger l ON l.workspace_id = w.id AND l.id < ?
WHERE ? IS NULL OR w.id = ?
GROUP BY w.id, w.name
ORDER BY w.name, w.id
