-- No signal waits for a run that is parked for it; what a signal was given to is a wait that goes on; the waits of a parked run belong to
-- steps that are running.
-- Columns as in audit_active.
SELECT s.execution_id AS subject, CONCAT('signal ', s.seq, ' was given to a parked run, which is not to be woken') AS detail
FROM signals s
JOIN waits w ON w.execution_id = s.execution_id
WHERE s.state = 1 AND w.reason = 4 AND w.due = 0
UNION ALL
SELECT s.execution_id, CONCAT('signal ', s.seq, ' is kept, although a parked wait has none')
FROM signals s
JOIN waits w ON w.execution_id = s.execution_id AND w.reason = 4 AND w.due = 0
JOIN signal_waits v ON v.execution_id = s.execution_id AND v.name = s.name
WHERE s.state = 0
UNION ALL
SELECT s.execution_id, CONCAT('signal ', s.seq, ', state ', s.state, ', step ', COALESCE(s.step, 'NULL'), ', data ', s.data IS NOT NULL)
FROM signals s
LEFT JOIN executions e ON e.id = s.execution_id
LEFT JOIN purges p ON p.execution_id = s.execution_id
WHERE p.execution_id IS NULL
  AND (e.id IS NULL OR (s.state = 1) <> (s.step IS NOT NULL) AND s.state < 2 OR (s.data IS NOT NULL AND (s.state = 2 OR e.purged_ms IS NOT NULL)))
UNION ALL
SELECT w.execution_id, 'parked for a signal, but without a wait'
FROM waits w
WHERE w.reason = 4 AND NOT EXISTS (SELECT 1 FROM signal_waits v WHERE v.execution_id = w.execution_id)
UNION ALL
SELECT v.execution_id, CONCAT('waits for ', v.name, ', but step ', v.step, ' is not running')
FROM signal_waits v
JOIN waits w ON w.execution_id = v.execution_id
LEFT JOIN execution_steps s ON s.execution_id = v.execution_id AND s.step = v.step AND s.item = v.item
WHERE s.status IS NULL OR s.status <> 1
