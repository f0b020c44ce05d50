-- Usage of a run that had already ended when its executor reported it: the run was stopped (state 5) or exceeded its deadline
-- (state 4, reason 1). The row of the run is locked, so that usage is never written after a purge. Values only grow. Once the workspace is frozen, its
-- file has what was reported until then.
INSERT INTO execution_usage (input_tokens, output_tokens, cached_tokens, cost, wallclock_ms, iterations, trace_id, log_sha256, log_size, execution_id)
SELECT ?, ?, ?, ?, ?, ?, ?, ?, ?, id FROM executions
WHERE id = ? AND (state = 5 OR (state = 4 AND failure_reason = 1)) AND attempt = ? AND purged_ms IS NULL
  AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.workspace_id = executions.workspace_id AND a.frozen <> 0)
FOR UPDATE
ON DUPLICATE KEY UPDATE input_tokens = GREATEST(execution_usage.input_tokens, VALUES(input_tokens)),
  output_tokens = GREATEST(execution_usage.output_tokens, VALUES(output_tokens)),
  cached_tokens = GREATEST(execution_usage.cached_tokens, VALUES(cached_tokens)),
  cost = GREATEST(execution_usage.cost, VALUES(cost)), iterations = GREATEST(execution_usage.iterations, VALUES(iterations))
