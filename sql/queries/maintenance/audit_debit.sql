-- Each execution has its debit: the ledger row with the execution's id.
-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT('cost ', e.cost, ', debit ', COALESCE(-l.amount, 'missing')) AS detail
FROM executions e
LEFT JOIN credit_ledger l ON l.workspace_id = e.workspace_id AND l.id = e.id
WHERE l.id IS NULL OR l.kind <> 2 OR l.amount <> -e.cost OR NOT l.execution_id <=> e.id
