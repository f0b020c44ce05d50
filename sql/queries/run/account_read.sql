-- Reads balances without a lock: confirms that a workspace lacks credits before the request is rejected with 402.
-- has_due: a grant may have started or expired, which is not in the balance yet.
SELECT workspace_id, balance, price, responders, version, COALESCE(next_change_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), 0) AS has_due, prices
FROM accounts WHERE workspace_id IN ([[?]])
