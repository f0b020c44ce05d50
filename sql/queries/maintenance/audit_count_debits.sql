SELECT COUNT(*) AS n FROM credit_ledger WHERE workspace_id = ? AND kind = 2
