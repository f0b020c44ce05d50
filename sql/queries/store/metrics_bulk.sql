-- Jobs that have not ended, by state, and their items that are not decided yet.
SELECT j.state, COUNT(*) AS n, COALESCE(SUM(j.matched - (SELECT COALESCE(SUM(c.n), 0) FROM bulk_counts c WHERE c.job_id = j.id)), 0) AS pending
FROM bulk_jobs j
WHERE j.ended_ms IS NULL
GROUP BY j.state
