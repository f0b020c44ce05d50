-- What a command has used and left whose run had ended before that could be told. Under the row's lock, so that it does
-- not come behind a purge.
INSERT INTO execution_usage (execution_id, input_tokens, output_tokens, cost, wallclock_ms, iterations, trace_id, log_sha256, log_size)
SELECT id, ?, ?, ?, ?, ?, ?, ?, ? FROM executions
WHERE id = ? AND state IN (4, 5) AND attempt = ? AND purged_ms IS NULL
  AND NOT EXISTS (SELECT 1 FROM execution_usage u WHERE u.execution_id = executions.id)
FOR UPDATE
