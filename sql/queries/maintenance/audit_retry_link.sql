-- The link from an execution to its retry says what the retry itself says. Retries accepted by older programs have no link.
-- Columns as in audit_active.
SELECT r.execution_id AS subject, CONCAT('linked as a retry of ', r.retry_of, ', but is one of ', COALESCE(e.retry_of, 'NULL')) AS detail
FROM execution_retries r
LEFT JOIN executions e ON e.id = r.execution_id
WHERE e.id IS NULL OR e.retry_of IS NULL OR e.retry_of <> r.retry_of
UNION ALL
-- a retry that an older program has accepted has no side_rows of its own
SELECT r.retry_of, CONCAT('has the retry ', r.execution_id, ', but side_rows is ', o.side_rows)
FROM execution_retries r
JOIN executions o ON o.id = r.retry_of
JOIN executions e ON e.id = r.execution_id
WHERE o.side_rows & 2 = 0 AND e.side_rows IS NOT NULL
