UPDATE credit_ledger SET number = ? WHERE workspace_id = ? AND id IN ([[?]])
