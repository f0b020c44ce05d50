-- Changes no row if the counter has moved or another process was faster.
UPDATE executors SET lost_ms = ? WHERE id = ? AND beat = ? AND lost_ms IS NULL
