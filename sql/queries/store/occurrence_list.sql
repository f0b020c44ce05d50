-- Newest nominal time first.
SELECT nominal_ms, origin, state, reason, execution_id, decided_ms
FROM schedule_occurrences
WHERE schedule_id = ? AND workspace_id = ? AND nominal_ms < ?
ORDER BY nominal_ms DESC
LIMIT ?
