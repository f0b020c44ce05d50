UPDATE ledger_rollups SET n = n + ?, amount = amount + ? WHERE workspace_id = ? AND month = ?
