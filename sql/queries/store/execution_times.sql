SELECT start_ms, expires_ms FROM run_times WHERE execution_id = ?
