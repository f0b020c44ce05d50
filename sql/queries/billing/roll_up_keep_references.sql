UPDATE credit_references r
JOIN credit_ledger l ON l.workspace_id = r.workspace_id AND l.id = r.ledger_id
SET r.amount = l.amount
WHERE l.workspace_id = ? AND l.id IN ([[?]])
