-- Changes no row if the executor is marked as lost; the process must then stop.
UPDATE executors SET beat = beat + 1 WHERE id = ? AND lost_ms IS NULL
