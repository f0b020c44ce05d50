-- Writes counters back, many in one statement. The rows exist, and their accounts are locked, so nothing is inserted.
INSERT INTO budgets (id, workspace_id, target_hash, scope, target, period, amount, used, start_ms, end_ms, told, created_ms, updated_ms)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE used = VALUES(used), start_ms = VALUES(start_ms), end_ms = VALUES(end_ms), told = VALUES(told)
