-- Parked runs that have become due. Rows that another transaction has locked are skipped.
SELECT execution_id FROM waits FORCE INDEX (by_wake)
WHERE due = 0 AND wake_ms <= ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000)
ORDER BY wake_ms
LIMIT ?
FOR UPDATE SKIP LOCKED
