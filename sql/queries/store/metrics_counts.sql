SELECT measure, kind, place, reason, n, sum_ms FROM run_counts ORDER BY measure, kind, place, reason
