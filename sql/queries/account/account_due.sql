-- Accounts with a grant that starts or expires now.
SELECT workspace_id FROM accounts
WHERE next_change_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AND frozen = 0
ORDER BY next_change_ms
LIMIT ?
