-- Events whose execution does not exist. Reports one row an execution, the one of event 1.
-- Columns as in audit_active.
SELECT v.execution_id AS subject, 'has events, but no row' AS detail
FROM events v
LEFT JOIN executions e ON e.id = v.execution_id
WHERE v.seq = 1 AND e.id IS NULL
