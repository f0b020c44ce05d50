-- What is kept of bulk jobs, ended ones included: jobs (at most 10,000, quota_check_bulk_jobs), and their items.
SELECT COUNT(*) AS jobs, CAST(COALESCE(SUM(matched), 0) AS SIGNED) AS items FROM bulk_jobs FORCE INDEX (by_workspace) WHERE workspace_id = ?
