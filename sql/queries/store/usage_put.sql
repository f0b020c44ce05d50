-- Values begin as in usage_put_late.
INSERT INTO execution_usage (input_tokens, output_tokens, cost, wallclock_ms, iterations, trace_id, log_sha256, log_size, execution_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE input_tokens = VALUES(input_tokens), output_tokens = VALUES(output_tokens), cost = VALUES(cost),
  wallclock_ms = VALUES(wallclock_ms), iterations = VALUES(iterations), trace_id = VALUES(trace_id),
  log_sha256 = VALUES(log_sha256), log_size = VALUES(log_size)
