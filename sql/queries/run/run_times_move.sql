UPDATE run_times SET start_ms = ? WHERE execution_id = ?
