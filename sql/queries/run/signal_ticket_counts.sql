-- The tickets of a run, those of them that are open, the open ones of its workspace, and how many these may be.
SELECT a.of_run, a.open_of_run,
  (SELECT COUNT(*) FROM signal_tickets c FORCE INDEX (open) WHERE c.workspace_id = ? AND c.open_until_ms > ?) AS open_of_workspace,
  CAST(COALESCE((SELECT q.value FROM quotas q WHERE q.workspace_id = ? AND q.name = 'signal_tickets'), ?) AS SIGNED) AS open_max
FROM (SELECT COUNT(*) AS of_run, CAST(COALESCE(SUM(t.open_until_ms > ?), 0) AS SIGNED) AS open_of_run
  FROM signal_tickets t FORCE INDEX (by_execution) WHERE t.execution_id = ?) a
