-- Parked runs that are due, and that this executor leaves to others: they are due again after 5 s, behind those that have become due until then.
UPDATE waits SET due = 0, wake_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + 5000 WHERE due = 1 AND execution_id IN ([[?]])
