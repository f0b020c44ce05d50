-- One range of the primary key, because the first 48 bits of an id are their milliseconds, and what of it was rolled up. Kinds that are no usage:
-- grants, expiries and voids.
-- Columns as in usage_by_day.
SELECT grouped, CAST(SUM(n) AS SIGNED) AS runs, CAST(SUM(debits) AS SIGNED) AS debited, CAST(SUM(refunds) AS SIGNED) AS refunded
FROM (
  SELECT key_id AS grouped, SUM(kind = 2) AS n, -SUM(IF(kind = 2, amount, 0)) AS debits,
    SUM(IF(kind = 2, 0, amount)) AS refunds
  FROM credit_ledger
  WHERE workspace_id = ? AND id >= ? AND id < ? AND kind NOT IN (1, 4, 5)
  GROUP BY grouped
  UNION ALL
  SELECT NULLIF(key_id, '00000000-0000-0000-0000-000000000000') AS g, SUM(IF(kind = 2, n, 0)), -SUM(IF(kind = 2, amount, 0)), SUM(IF(kind = 2, 0, amount))
  FROM ledger_rollup_sums
  WHERE workspace_id = ? AND day >= ? AND day < ? AND kind NOT IN (1, 4, 5)
  GROUP BY g
) AS both_of
GROUP BY grouped
ORDER BY grouped
