-- Changes no row if the counter has moved or another process was faster.
UPDATE executors SET lost_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) WHERE id = ? AND beat = ? AND lost_ms IS NULL
