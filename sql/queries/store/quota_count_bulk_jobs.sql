SELECT COUNT(*) AS used FROM bulk_jobs WHERE workspace_id = ? AND state IN (1, 2, 3)
