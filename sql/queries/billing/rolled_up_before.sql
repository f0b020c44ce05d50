-- Rows of the ledger with lower ids may be gone.
SELECT before_id FROM ledger_rollups WHERE workspace_id = ? ORDER BY month DESC LIMIT 1
