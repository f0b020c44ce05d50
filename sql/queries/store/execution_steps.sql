SELECT step, status, tries, started_ms, completed_ms, result, error
FROM execution_steps
WHERE execution_id = ? AND item = -1
ORDER BY step
