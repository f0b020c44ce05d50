SELECT id, beat FROM executors WHERE lost_ms IS NULL
