-- The checksum of the month before that was rolled up.
SELECT checksum FROM ledger_rollups WHERE workspace_id = ? AND month < ? ORDER BY month DESC LIMIT 1
