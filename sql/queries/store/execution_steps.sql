-- Of a purged run, also while it is being purged in slices, neither results nor errors.
SELECT s.step, s.status, s.tries, s.started_ms, s.completed_ms,
  IF(e.purged_ms IS NULL, s.result, NULL) AS result, IF(e.purged_ms IS NULL, s.error, NULL) AS error
FROM execution_steps s
JOIN executions e ON e.id = s.execution_id
WHERE s.execution_id = ? AND s.item = -1
ORDER BY s.step
