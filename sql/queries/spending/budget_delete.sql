DELETE FROM budgets WHERE id = ?
