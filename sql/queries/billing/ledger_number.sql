UPDATE credit_ledger SET number = ?, room = NULL WHERE workspace_id = ? AND id IN ([[?]])
