DELETE FROM credit_ledger WHERE workspace_id = ? AND id IN ([[?]])
