-- What is left to send after a number: how many rows, of which at most 10,000 are counted, and the id of the first. Rows without a number (LEDGER_NO_NUMBER in
-- lib/account/ledger.h) are left to send, too.
SELECT
  (SELECT COUNT(*) FROM (SELECT 1 FROM credit_ledger FORCE INDEX (by_number) WHERE number > ? LIMIT 10000) AS waiting)
  + (SELECT COUNT(*) FROM (SELECT 1 FROM credit_ledger FORCE INDEX (by_number) WHERE number = -9223372036854775808 LIMIT 10000) AS later) AS n,
  COALESCE((SELECT id FROM credit_ledger FORCE INDEX (by_number) WHERE number > ? ORDER BY number LIMIT 1),
    (SELECT id FROM credit_ledger FORCE INDEX (by_number) WHERE number = -9223372036854775808 LIMIT 1)) AS first_id,
  CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
