-- Each execution has its debit: the ledger row with the execution's id.
SELECT e.id, CONCAT('cost ', e.cost, ', debit ', COALESCE(-l.amount, 'missing'))
FROM executions e
LEFT JOIN credit_ledger l ON l.workspace_id = e.workspace_id AND l.id = e.id
WHERE l.id IS NULL OR l.kind <> 2 OR l.amount <> -e.cost OR NOT l.execution_id <=> e.id
