-- Debits, refunds and releases whose execution does not exist, and second debits of an execution. Executions that retention has
-- removed are exempt, because their ledger rows stay.
-- Columns as in audit_active.
SELECT l.id AS subject, CONCAT('kind ', l.kind, ', execution ', COALESCE(l.execution_id, 'NULL')) AS detail
FROM credit_ledger l
LEFT JOIN executions e ON e.id = l.execution_id AND e.workspace_id = l.workspace_id
LEFT JOIN retention r ON r.workspace_id = l.workspace_id AND l.execution_id <= r.removed_to
WHERE l.kind IN (2, 3, 6) AND ((e.id IS NULL AND r.workspace_id IS NULL) OR (l.kind = 2 AND NOT l.id <=> l.execution_id))
