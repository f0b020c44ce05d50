-- The deadline of a parked run has come closer.
UPDATE waits SET wake_ms = LEAST(wake_ms, ?) WHERE execution_id = ?
