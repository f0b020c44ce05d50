INSERT INTO bulk_counts (job_id, outcome, reason, n) VALUES {{(?, ?, ?, 1)}}
ON DUPLICATE KEY UPDATE n = n + 1
