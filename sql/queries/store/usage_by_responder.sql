-- One range of the primary key, because the first 48 bits of an id are its milliseconds.
SELECT responder_id AS grouped, CAST(SUM(kind = 2) AS SIGNED), CAST(-SUM(IF(kind = 2, amount, 0)) AS SIGNED),
  CAST(SUM(IF(kind = 3, amount, 0)) AS SIGNED)
FROM credit_ledger
WHERE workspace_id = ? AND id >= ? AND id < ? AND kind IN (2, 3)
GROUP BY grouped
ORDER BY grouped
