-- The occurrences of a schedule whose runs were not known to have ended, and the states of these runs now (NULL: purged).
SELECT o.nominal_ms, o.origin, e.state
FROM schedule_occurrences o
LEFT JOIN executions e ON e.id = o.execution_id
WHERE o.schedule_id = ? AND o.is_open = 1
