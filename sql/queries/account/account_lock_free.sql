-- As account_lock, without waiting: accounts that another transaction has locked are left out.
-- Columns as in account_lock.
SELECT workspace_id, balance, version, active, max_concurrent, price, responders, delayed_runs, head_grant, head_remaining, next_change_ms, budgets, alerts, alert_below, alert_above, spent, spent_until_ms, spent_line, prices, timezone, frozen, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM accounts
WHERE workspace_id IN ([[?]])
ORDER BY workspace_id
FOR UPDATE SKIP LOCKED
