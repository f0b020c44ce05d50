-- What a retry adopts of the steps of the run that it retries. No row: that run is purged or gone. One row of NULLs: it has no such steps.
SELECT s.step, s.item, s.status, s.tries, s.answers, s.due_ms, s.timeout_ms, s.started_ms, s.completed_ms, s.result, s.error, s.reason
FROM executions e
LEFT JOIN execution_steps s ON s.execution_id = e.id AND s.step <= ? AND s.status IN (2, 3, 4)
WHERE e.id = ? AND e.workspace_id = ? AND e.purged_ms IS NULL
ORDER BY s.step, s.item
