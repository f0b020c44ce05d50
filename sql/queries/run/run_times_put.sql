INSERT INTO run_times (execution_id, start_ms, expires_ms)
VALUES {{(?, ?, ?)}}
