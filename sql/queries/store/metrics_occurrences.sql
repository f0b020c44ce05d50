-- Occurrences of schedules of the last time by their state: those with a recent run, and those without a run (by_execution).
SELECT o.state, COUNT(*) AS n
FROM executions e
JOIN schedule_occurrences o ON o.execution_id = e.id
WHERE e.id >= ?
GROUP BY o.state
UNION ALL
SELECT state, COUNT(*)
FROM schedule_occurrences
WHERE execution_id IS NULL AND decided_ms >= ?
GROUP BY state
