SELECT input_tokens, output_tokens, cost, wallclock_ms, iterations, trace_id, log_sha256, log_size FROM execution_usage WHERE execution_id = ?
