-- Of workspaces between two ids.
SELECT r.workspace_id, w.name AS workspace, r.month, r.state, r.n, r.amount, r.unsent, r.begun_ms, r.ended_ms, r.checksum
FROM ledger_rollups r
LEFT JOIN workspaces w ON w.id = r.workspace_id
WHERE r.workspace_id BETWEEN ? AND ?
ORDER BY r.workspace_id, r.month
