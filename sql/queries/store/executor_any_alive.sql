-- Alive: as in metrics_executors.
SELECT EXISTS(SELECT 1 FROM executors
  WHERE lost_ms IS NULL AND (beat_ms IS NULL OR beat_ms > UNIX_TIMESTAMP(NOW(3)) * 1000 - lease_ms - 5000)) AS any_alive
