SELECT amount FROM credit_ledger WHERE workspace_id = ? AND id = ?
