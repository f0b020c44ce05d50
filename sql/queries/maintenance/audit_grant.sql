-- What a grant has left is the sum of its ledger rows, of its parts of others, and of what of both was rolled up. What has expired, was voided or has not started
-- has nothing in the balance.
-- Columns as in audit_active.
SELECT g.id AS subject,
  CONCAT('workspace ', g.workspace_id, ', state ', g.state, ', remaining ', IF(g.id <=> a.head_grant, a.head_remaining, g.remaining),
         ', ledger ', COALESCE(l.total, 0) + COALESCE(p.total, 0) + COALESCE(r.total, 0)) AS detail
FROM credit_grants g
JOIN accounts a ON a.workspace_id = g.workspace_id
LEFT JOIN (SELECT workspace_id, grant_id, SUM(amount) AS total FROM credit_ledger WHERE grant_id IS NOT NULL GROUP BY workspace_id, grant_id) l
  ON l.workspace_id = g.workspace_id AND l.grant_id = g.id
LEFT JOIN (SELECT workspace_id, grant_id, SUM(amount) AS total FROM credit_parts GROUP BY workspace_id, grant_id) p
  ON p.workspace_id = g.workspace_id AND p.grant_id = g.id
LEFT JOIN (SELECT workspace_id, grant_id, SUM(amount) AS total FROM ledger_rollup_sums GROUP BY workspace_id, grant_id) r
  ON r.workspace_id = g.workspace_id AND r.grant_id = g.id
WHERE COALESCE(l.total, 0) + COALESCE(p.total, 0) + COALESCE(r.total, 0) <> IF(g.state = 1, 0, IF(g.id <=> a.head_grant, a.head_remaining, g.remaining))
  OR (g.state > 2 AND g.remaining <> 0) OR (g.state = 1 AND g.remaining <> g.amount)
