-- A correction by its ledger row, a grant also before it starts, and what a request has voided.
SELECT id FROM credit_ledger WHERE workspace_id = ? AND id = ?
UNION ALL
SELECT id FROM credit_grants WHERE workspace_id = ? AND (id = ? OR ended_by = ?)
