-- Wakes parked runs that wait for a given reason (the end of a child). Most of these runs are not parked.
UPDATE waits SET due = 1, wake_ms = LEAST(wake_ms, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)) WHERE reason = ? AND execution_id IN ([[?]])
