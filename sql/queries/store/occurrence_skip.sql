-- Waiting occurrences (state 2) that no run will follow are skipped (state 3) by overlap (reason 1).
UPDATE schedule_occurrences SET state = 3, reason = 1 WHERE schedule_id = ? AND nominal_ms BETWEEN ? AND ? AND state = 2
