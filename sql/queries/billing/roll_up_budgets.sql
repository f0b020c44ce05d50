SELECT budget_id, start_ms, amount FROM ledger_rollup_budgets WHERE workspace_id = ? AND month = ? ORDER BY budget_id, start_ms
