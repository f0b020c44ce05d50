DELETE FROM credit_parts WHERE workspace_id = ? AND ledger_id IN ([[?]])
