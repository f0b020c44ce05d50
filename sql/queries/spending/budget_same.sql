SELECT id FROM budgets WHERE target_hash = ? AND period = ?
