SELECT COUNT(*) AS used FROM budgets WHERE workspace_id = ?
