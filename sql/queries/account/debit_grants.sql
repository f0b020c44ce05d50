-- The grants that the debits of runs came from: one, or the parts.
SELECT e.id, l.grant_id, l.amount, p.grant_id AS part_grant_id, p.amount AS part
FROM executions e
JOIN credit_ledger l ON l.workspace_id = e.workspace_id AND l.id = e.id
LEFT JOIN credit_parts p ON l.grant_id IS NULL AND p.workspace_id = l.workspace_id AND p.ledger_id = l.id
WHERE e.id IN ([[?]])
