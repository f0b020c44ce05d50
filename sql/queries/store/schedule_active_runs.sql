-- The runs of a schedule that are queued or running (states 1 and 2), without those of a backfill (origin 3).
SELECT e.id
FROM schedule_occurrences o
JOIN executions e ON e.id = o.execution_id
WHERE o.schedule_id = ? AND o.is_open = 1 AND o.origin <> 3 AND e.state IN (1, 2)
ORDER BY e.id
