SELECT last_id, removed_id, wanted_until_ms - CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS wanted_for_ms
FROM feeds WHERE workspace_id = ?
