UPDATE executors SET lost_ms = ? WHERE id = ? AND beat = ? AND lost_ms IS NULL
