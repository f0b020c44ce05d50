-- Idempotency keys whose execution does not exist. Read along the index on execution_id.
-- Columns as in audit_active.
SELECT k.execution_id AS subject, 'has an idempotency key, but no row' AS detail
FROM idempotency_keys k FORCE INDEX (execution_id)
LEFT JOIN executions e ON e.id = k.execution_id
WHERE k.execution_id IS NOT NULL AND e.id IS NULL
