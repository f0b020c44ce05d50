INSERT INTO credit_months (workspace_id, month, kind, n, amount) VALUES {{(?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE n = n + VALUES(n), amount = amount + VALUES(amount)
