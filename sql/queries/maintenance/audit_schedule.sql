-- A schedule is due if and only if it is not paused and has a next time; a waiting occurrence has its row.
-- Columns as in audit_active.
SELECT s.id AS subject, CONCAT('paused ', s.paused, ', next ', COALESCE(s.next_ms, 'NULL'), ', due ', COALESCE(s.due_ms, 'NULL'), ', waiting ',
  COALESCE(s.waiting_ms, 'NULL')) AS detail
FROM schedules s
LEFT JOIN schedule_occurrences o ON o.schedule_id = s.id AND o.nominal_ms = s.waiting_ms AND o.state = 2
WHERE (s.paused = 0 AND s.next_ms IS NOT NULL) <> (s.due_ms IS NOT NULL) OR (s.waiting_ms IS NOT NULL AND o.schedule_id IS NULL)
