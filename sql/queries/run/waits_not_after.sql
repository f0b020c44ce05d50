-- Wakes a parked run no later than after a number of milliseconds, because its deadline has come closer.
UPDATE waits SET wake_ms = LEAST(wake_ms, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + ?) WHERE execution_id = ?
