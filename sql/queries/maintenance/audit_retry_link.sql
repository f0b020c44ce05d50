-- The link from an execution to its retry says what the retry itself says. Retries accepted by older programs have no link.
-- Columns as in audit_active.
SELECT r.execution_id AS subject, CONCAT('linked as a retry of ', r.retry_of, ', but is one of ', COALESCE(e.retry_of, 'NULL')) AS detail
FROM execution_retries r
LEFT JOIN executions e ON e.id = r.execution_id
WHERE e.id IS NULL OR e.retry_of IS NULL OR e.retry_of <> r.retry_of
