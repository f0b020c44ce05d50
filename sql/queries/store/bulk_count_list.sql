SELECT job_id, outcome, reason, n FROM bulk_counts WHERE job_id IN ([[?]])
