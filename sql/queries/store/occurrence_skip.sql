-- A waiting occurrence (state 2) that no run will follow is skipped (state 3) by overlap (reason 1).
UPDATE schedule_occurrences SET state = 3, reason = 1 WHERE schedule_id = ? AND nominal_ms = ? AND state = 2
