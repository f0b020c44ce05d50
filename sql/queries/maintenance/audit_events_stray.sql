-- Events whose execution does not exist. Reports one row an execution, the one of event 1. Runs that are being removed in
-- slices are exempt.
-- Columns as in audit_active.
SELECT v.execution_id AS subject, 'has events, but no row' AS detail
FROM events v
LEFT JOIN executions e ON e.id = v.execution_id
LEFT JOIN purges p ON p.execution_id = v.execution_id AND p.removes = 1
WHERE v.seq = 1 AND e.id IS NULL AND p.execution_id IS NULL
