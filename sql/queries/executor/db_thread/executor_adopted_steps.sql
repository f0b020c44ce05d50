-- What a retry adopts of the steps of the run that it retries. Nothing, once that run is purged.
SELECT s.step, s.item, s.status, s.tries, s.answers, s.due_ms, s.timeout_ms, s.started_ms, s.completed_ms, s.result, s.error, s.reason
FROM execution_steps s
JOIN executions e ON e.id = s.execution_id
WHERE s.execution_id = ? AND e.workspace_id = ? AND e.purged_ms IS NULL AND s.step <= ? AND s.status IN (2, 3, 4)
ORDER BY s.step, s.item
