-- Debits and refunds of executions that are not there, and second debits of those that are.
SELECT l.id, CONCAT('kind ', l.kind, ', execution ', COALESCE(l.execution_id, 'NULL'))
FROM credit_ledger l
LEFT JOIN executions e ON e.id = l.execution_id AND e.workspace_id = l.workspace_id
WHERE l.kind IN (2, 3) AND (e.id IS NULL OR (l.kind = 2 AND l.id <> l.execution_id))
