-- The next occurrence of a backfill (origin 3) that waits (state 2).
SELECT o.nominal_ms
FROM schedules s
JOIN schedule_occurrences o ON o.schedule_id = s.id AND o.nominal_ms > ? AND o.nominal_ms <= s.backfill_end_ms AND o.state = 2 AND o.origin = 3
WHERE s.id = ?
ORDER BY o.nominal_ms
LIMIT 1
