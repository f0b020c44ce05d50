-- A schedule is due if and only if it is not paused and has a next time; an occurrence that waits (state 2) has its row, and no other one waits.
-- Origin 3: of a backfill. Columns as in audit_active.
SELECT s.id AS subject, CONCAT('paused ', s.paused, ', next ', COALESCE(s.next_ms, 'NULL'), ', due ', COALESCE(s.due_ms, 'NULL'), ', waiting ',
  COALESCE(s.waiting_ms, 'NULL'), ', backfill ', COALESCE(s.backfill_ms, 'NULL')) AS detail
FROM schedules s
LEFT JOIN schedule_occurrences o ON o.schedule_id = s.id AND o.nominal_ms = s.waiting_ms AND o.state = 2
LEFT JOIN schedule_occurrences b ON b.schedule_id = s.id AND b.nominal_ms = s.backfill_ms AND b.state = 2 AND b.origin = 3
WHERE (s.paused = 0 AND s.next_ms IS NOT NULL) <> (s.due_ms IS NOT NULL) OR (s.waiting_ms IS NOT NULL AND o.schedule_id IS NULL)
  OR (s.backfill_ms IS NOT NULL AND b.schedule_id IS NULL) OR (s.backfill_ms IS NULL) <> (s.backfill_end_ms IS NULL)
UNION ALL
SELECT o.schedule_id, CONCAT('nominal ', o.nominal_ms, ' waits, and nothing will start it')
FROM schedule_occurrences o
LEFT JOIN schedules s ON s.id = o.schedule_id
WHERE o.state = 2 AND (s.id IS NULL OR NOT COALESCE(IF(o.origin = 3, o.nominal_ms BETWEEN s.backfill_ms AND s.backfill_end_ms,
  o.nominal_ms = s.waiting_ms), FALSE))
