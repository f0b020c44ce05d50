-- Whether parked runs have become due (by MariaDB's clock), and whether some are to be woken already.
SELECT
  EXISTS (SELECT 1 FROM waits FORCE INDEX (by_wake) WHERE due = 0 AND wake_ms <= ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000)) AS becomes_due,
  EXISTS (SELECT 1 FROM waits FORCE INDEX (by_wake) WHERE due = 1) AS is_due
