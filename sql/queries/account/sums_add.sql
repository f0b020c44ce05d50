INSERT INTO credit_sums (workspace_id, day, kind, responder_id, key_id, grant_id, n, amount) VALUES {{(?, ?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE n = n + VALUES(n), amount = amount + VALUES(amount)
