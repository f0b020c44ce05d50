SELECT id, beat, lease_ms FROM executors WHERE lost_ms IS NULL
