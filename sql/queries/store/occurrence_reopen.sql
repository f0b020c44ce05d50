-- A backfill (origin 3) makes up for a missed occurrence (state 4): it waits (state 2).
UPDATE schedule_occurrences SET state = 2, origin = 3, reason = 0 WHERE schedule_id = ? AND nominal_ms = ? AND state = 4
