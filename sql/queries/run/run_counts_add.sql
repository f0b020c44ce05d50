INSERT INTO run_counts (measure, kind, place, reason, n, sum_ms)
VALUES {{(?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE n = n + VALUES(n), sum_ms = sum_ms + VALUES(sum_ms)
