-- The deadline of a parked run has come closer: the time until then.
UPDATE waits SET wake_ms = LEAST(wake_ms, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) + ?) WHERE execution_id = ?
