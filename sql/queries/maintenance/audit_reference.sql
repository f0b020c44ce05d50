-- References that name no grant.
-- Columns as in audit_active.
SELECT r.workspace_id AS subject, CONCAT('reference ', r.reference, ' names ledger row ', r.ledger_id, ', which is no grant') AS detail
FROM credit_references r
LEFT JOIN credit_ledger l ON l.workspace_id = r.workspace_id AND l.id = r.ledger_id AND l.kind = 1
WHERE l.id IS NULL
