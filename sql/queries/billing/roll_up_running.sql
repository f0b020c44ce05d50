-- A month whose rows are being removed, of a workspace that is not frozen.
SELECT r.workspace_id, r.month
FROM ledger_rollups r
JOIN accounts a ON a.workspace_id = r.workspace_id
WHERE r.state = 1 AND a.frozen = 0
LIMIT 1
