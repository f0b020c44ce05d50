-- What a run has used and left that had ended before that could be told: it was stopped (5), or its time was over (4, 1).
-- Under the row's lock, so that it does not come behind a purge. What it had told before only grows.
INSERT INTO execution_usage (execution_id, input_tokens, output_tokens, cost, wallclock_ms, iterations, trace_id, log_sha256, log_size)
SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM executions
WHERE id = ? AND (state = 5 OR (state = 4 AND failure_reason = 1)) AND attempt = ? AND purged_ms IS NULL
FOR UPDATE
ON DUPLICATE KEY UPDATE input_tokens = GREATEST(execution_usage.input_tokens, VALUES(input_tokens)),
  output_tokens = GREATEST(execution_usage.output_tokens, VALUES(output_tokens)),
  cost = GREATEST(execution_usage.cost, VALUES(cost)), iterations = GREATEST(execution_usage.iterations, VALUES(iterations))
