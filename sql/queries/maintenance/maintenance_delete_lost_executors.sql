DELETE FROM executors WHERE lost_ms < ? LIMIT 500
