-- The first lock of every transaction that decides about money, idempotency keys or concurrency.
SELECT workspace_id, balance, version, active, max_concurrent, price, responders
FROM accounts
WHERE workspace_id IN ([[?]])
ORDER BY workspace_id
FOR UPDATE
