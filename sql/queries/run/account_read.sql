-- Without a lock: confirms (or not) that a balance does not do, before 402 is said.
SELECT workspace_id, balance, price, responders FROM accounts WHERE workspace_id IN ([[?]])
