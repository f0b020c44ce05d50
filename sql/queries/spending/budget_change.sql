UPDATE budgets SET amount = ?, soft_percent = ?, told = told & ?, updated_ms = ? WHERE id = ?
