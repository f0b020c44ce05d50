-- The grant that has this reference.
SELECT r.ledger_id, l.amount
FROM credit_references r
JOIN credit_ledger l ON l.workspace_id = r.workspace_id AND l.id = r.ledger_id
WHERE r.workspace_id = ? AND r.reference = ?
