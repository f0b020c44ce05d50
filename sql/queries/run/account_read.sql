-- Reads balances without a lock: confirms that a workspace lacks credits before the request is rejected with 402.
SELECT workspace_id, balance, price, responders FROM accounts WHERE workspace_id IN ([[?]])
