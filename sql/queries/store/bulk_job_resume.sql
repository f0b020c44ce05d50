UPDATE bulk_jobs SET state = IF(is_collected, 2, 1), reason = 0, due_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), updated_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED), principal_id = ?, key_id = ?, kinds = ?
WHERE id = ? AND workspace_id = ? AND state = 3
