-- Each limit is preceded by a flag: 1 changes it, 0 keeps it.
UPDATE accounts
SET rate_limit_per_minute = IF(?, ?, rate_limit_per_minute), price = IF(?, ?, price),
    max_concurrent = IF(?, ?, max_concurrent), active = IF(?, ?, active), timezone = IF(?, ?, timezone)
WHERE workspace_id = ?
