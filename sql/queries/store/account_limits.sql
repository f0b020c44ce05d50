-- Each limit with a 1 before it where it is to change.
UPDATE accounts
SET rate_limit_per_minute = IF(?, ?, rate_limit_per_minute), price = IF(?, ?, price),
    max_concurrent = IF(?, ?, max_concurrent), active = IF(?, ?, active)
WHERE workspace_id = ?
