SELECT amount FROM credit_months WHERE workspace_id = ? AND month = ? AND kind = ?
