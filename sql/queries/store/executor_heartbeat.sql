-- Changes no row if the executor is marked as lost; the process must then stop.
UPDATE executors
SET beat = beat + 1, beat_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), http_in_flight = ?, http_waiting = ?, http_max = ?, commands = ?
WHERE id = ? AND lost_ms IS NULL
