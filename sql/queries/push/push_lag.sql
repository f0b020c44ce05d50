-- What is left to send after a number: how many rows, of which at most 10,000 are counted, and the id of the first.
SELECT
  (SELECT COUNT(*) FROM (SELECT 1 FROM credit_ledger FORCE INDEX (by_number) WHERE number > ? LIMIT 10000) AS waiting) AS n,
  (SELECT id FROM credit_ledger FORCE INDEX (by_number) WHERE number > ? ORDER BY number LIMIT 1) AS first_id,
  CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
