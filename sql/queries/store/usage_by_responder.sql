-- One range of the primary key, because the first 48 bits of an id are its milliseconds.
-- Columns as in usage_by_day.
SELECT responder_id AS grouped, CAST(SUM(kind = 2) AS SIGNED) AS runs, CAST(-SUM(IF(kind = 2, amount, 0)) AS SIGNED) AS debited,
  CAST(SUM(IF(kind IN (3, 6), amount, 0)) AS SIGNED) AS refunded
FROM credit_ledger
WHERE workspace_id = ? AND id >= ? AND id < ? AND kind IN (2, 3, 6)
GROUP BY grouped
ORDER BY grouped
