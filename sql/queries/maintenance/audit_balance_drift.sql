SELECT CAST(a.balance - (SELECT COALESCE(SUM(l.amount), 0) FROM credit_ledger l WHERE l.workspace_id = a.workspace_id)
  - (SELECT COALESCE(SUM(r.amount), 0) FROM ledger_rollup_sums r WHERE r.workspace_id = a.workspace_id) AS SIGNED) AS drift
FROM accounts a WHERE a.workspace_id = ?
