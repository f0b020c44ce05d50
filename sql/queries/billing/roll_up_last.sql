-- The last month of a workspace. The row is locked: months are rolled up one after the other.
SELECT month, state FROM ledger_rollups WHERE workspace_id = ? ORDER BY month DESC LIMIT 1 FOR UPDATE
