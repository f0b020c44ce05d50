-- The log of a run that was stopped, told when its command has ended. Under the row's lock, so that it does not come
-- behind a purge.
INSERT INTO execution_usage (execution_id, wallclock_ms, log_sha256, log_size)
SELECT id, ?, ?, ? FROM executions WHERE id = ? AND state = 5 AND attempt = ? AND purged_ms IS NULL
FOR UPDATE
