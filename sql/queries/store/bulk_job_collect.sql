UPDATE bulk_jobs SET below_id = ?, matched = ?, is_collected = ?, is_truncated = ?, state = ?, updated_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
WHERE id = ?
