DELETE FROM feeds WHERE workspace_id = ? AND wanted_until_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
