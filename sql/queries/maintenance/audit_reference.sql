-- References that name neither a grant nor a correction. Of a correction that was rolled up, the amount is kept.
-- Columns as in audit_active.
SELECT r.workspace_id AS subject, CONCAT('reference ', r.reference, ' names ledger row ', r.ledger_id, ', which is no grant') AS detail
FROM credit_references r
LEFT JOIN credit_ledger l ON l.workspace_id = r.workspace_id AND l.id = r.ledger_id AND l.kind = 1
LEFT JOIN credit_grants g ON g.workspace_id = r.workspace_id AND g.id = r.ledger_id
WHERE l.id IS NULL AND g.id IS NULL AND r.amount IS NULL
