-- Columns as in grants_open.
SELECT workspace_id, id, state, category, priority, amount, remaining, effective_ms, expires_ms, created_ms, ended_ms, ended_by, refund_of, note
FROM credit_grants
WHERE workspace_id = ? AND id IN ([[?]])
