-- The first occurrence of a backfill (origin 3) that waits (state 2).
SELECT nominal_ms FROM schedule_occurrences WHERE schedule_id = ? AND nominal_ms BETWEEN ? AND ? AND state = 2 AND origin = 3 ORDER BY nominal_ms LIMIT 1
