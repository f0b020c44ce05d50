-- Idempotency keys whose execution does not exist. Read along the index on execution_id.
SELECT k.execution_id, 'known to an idempotency key, not there'
FROM idempotency_keys k FORCE INDEX (execution_id)
LEFT JOIN executions e ON e.id = k.execution_id
WHERE k.execution_id IS NOT NULL AND e.id IS NULL
