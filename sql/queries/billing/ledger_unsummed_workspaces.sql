-- Workspaces of some rows of the ledger that are not in the sums: at most 64, so that ledger_unsummed runs once, with its limit for all of them.
SELECT r.workspace_id
FROM (SELECT l.workspace_id FROM credit_ledger l FORCE INDEX (by_number) JOIN accounts a ON a.workspace_id = l.workspace_id AND a.frozen = 0
      WHERE l.number IS NULL LIMIT 200) r
GROUP BY r.workspace_id
LIMIT 64
