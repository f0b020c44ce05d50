-- What the balances of locked accounts consist of, and what is scheduled.
SELECT workspace_id, id, state, category, priority, amount, remaining, effective_ms, expires_ms, created_ms, ended_ms, ended_by, refund_of, note
FROM credit_grants
WHERE workspace_id IN ([[?]]) AND state IN (1, 2) AND remaining > 0
