-- The rows in `executions` are locked, so that these do not change.
SELECT execution_id, until_ms FROM waits WHERE execution_id IN ([[?]]) AND until_ms IS NOT NULL
