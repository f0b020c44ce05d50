-- `delayed_runs` of an account equals the number of its runs that wait for their start; such a run has its row in `run_times`.
-- Columns as in audit_active.
SELECT a.workspace_id AS subject, CONCAT('delayed ', a.delayed_runs, ', runs that wait for their start ', COALESCE(r.n, 0)) AS detail
FROM accounts a
LEFT JOIN (
  SELECT workspace_id, COUNT(*) AS n FROM executions FORCE INDEX (by_turn)
  WHERE state = 1 AND executor_id = 9223372036854775807 GROUP BY workspace_id
) r ON r.workspace_id = a.workspace_id
WHERE a.delayed_runs <> COALESCE(r.n, 0)
UNION ALL
SELECT w.execution_id, CONCAT('waits for ', w.wake_ms, ', but its start is ', COALESCE(t.start_ms, 'NULL'))
FROM waits w
LEFT JOIN run_times t ON t.execution_id = w.execution_id
WHERE w.reason = 5 AND (t.start_ms IS NULL OR t.start_ms <> w.wake_ms)
UNION ALL
SELECT t.execution_id, IF(e.id IS NULL, 'has a row in run_times, but no execution', CONCAT('has a row in run_times, but side_rows is ', e.side_rows))
FROM run_times t
LEFT JOIN executions e ON e.id = t.execution_id
WHERE e.id IS NULL OR e.side_rows & 1 = 0
