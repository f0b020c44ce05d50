INSERT INTO ledger_rollup_budgets (workspace_id, month, budget_id, start_ms, amount) VALUES {{(?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE amount = amount + VALUES(amount)
