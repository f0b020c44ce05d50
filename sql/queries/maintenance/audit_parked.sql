-- A running run has an executor or is parked, never both. A queued run has a row in `waits` if it waits for its start (reason 5). A parked run is woken at its deadline at the latest, and one that waits for
-- children has one that has not ended. Its deadline is a time of an executor's clock, and the times from parking to waking are MariaDB's: a minute is allowed for the difference.
-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT('running without an executor, and not parked, attempt ', e.attempt) AS detail
FROM executions e FORCE INDEX (by_turn)
LEFT JOIN waits w ON w.execution_id = e.id
WHERE e.state = 2 AND e.executor_id = 0 AND w.execution_id IS NULL
UNION ALL
SELECT w.execution_id, CONCAT('parked until ', w.wake_ms, ', state ', COALESCE(e.state, 'NULL'), ', executor ', COALESCE(e.executor_id, 'NULL'),
  ', deadline ', COALESCE(e.deadline_ms, 'NULL'))
FROM waits w
LEFT JOIN executions e ON e.id = w.execution_id
WHERE e.id IS NULL OR e.state <> IF(w.reason = 5, 1, 2) OR e.executor_id <> IF(w.reason = 5, 9223372036854775807, 0)
  OR w.workspace_id <> e.workspace_id OR (w.reason <> 5 AND w.wake_ms - e.updated_ms > e.deadline_ms - e.started_ms + 60000)
  OR (w.reason = 5 AND w.due = 1) OR (w.reason <> 5 AND w.due = 2)
UNION ALL
SELECT e.id, CONCAT('queued until its start, but without a row in waits, attempt ', e.attempt)
FROM executions e FORCE INDEX (by_turn)
LEFT JOIN waits w ON w.execution_id = e.id
WHERE e.state = 1 AND e.executor_id = 9223372036854775807 AND w.execution_id IS NULL
UNION ALL
SELECT w.execution_id, 'parked until a child ends, but all of its children have ended'
FROM waits w
WHERE w.reason = 3 AND w.due = 0
  AND NOT EXISTS (SELECT 1 FROM execution_children c JOIN executions e ON e.id = c.child_id WHERE c.parent_id = w.execution_id AND e.state IN (1, 2))
