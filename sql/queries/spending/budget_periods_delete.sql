DELETE FROM budget_periods WHERE budget_id = ?
