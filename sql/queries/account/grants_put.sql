INSERT INTO credit_grants (workspace_id, id, state, category, priority, amount, remaining, effective_ms, expires_ms, created_ms, ended_ms, ended_by, refund_of, note)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE
  state = VALUES(state), amount = VALUES(amount), remaining = VALUES(remaining), ended_ms = VALUES(ended_ms), ended_by = VALUES(ended_by)
