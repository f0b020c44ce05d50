SELECT workspace_id, wanted_until_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS is_unwanted
FROM feeds
WHERE workspace_id > ?
ORDER BY workspace_id
LIMIT 64
