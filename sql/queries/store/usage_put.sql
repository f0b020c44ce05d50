-- Values begin as in usage_put_late. Tokens never become fewer: a run that is stopped is charged for those that were committed.
INSERT INTO execution_usage (input_tokens, output_tokens, cached_tokens, cost, wallclock_ms, iterations, trace_id, log_sha256, log_size, execution_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE input_tokens = GREATEST(input_tokens, VALUES(input_tokens)), output_tokens = GREATEST(output_tokens, VALUES(output_tokens)),
  cached_tokens = GREATEST(cached_tokens, VALUES(cached_tokens)), cost = GREATEST(cost, VALUES(cost)),
  wallclock_ms = VALUES(wallclock_ms), iterations = VALUES(iterations), trace_id = VALUES(trace_id),
  log_sha256 = VALUES(log_sha256), log_size = VALUES(log_size)
