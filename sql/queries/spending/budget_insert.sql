INSERT INTO budgets (id, workspace_id, target_hash, scope, target, period, amount, soft_percent, start_ms, end_ms, created_ms, updated_ms)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
