-- The tickets of a run, those of them that are open, the open ones of its workspace, and how many these may be.
SELECT (SELECT COUNT(*) FROM signal_tickets a WHERE a.execution_id = ?) AS of_run,
  (SELECT COUNT(*) FROM signal_tickets b WHERE b.execution_id = ? AND b.open_until_ms > ?) AS open_of_run,
  (SELECT COUNT(*) FROM signal_tickets c FORCE INDEX (open) WHERE c.workspace_id = ? AND c.open_until_ms > ?) AS open_of_workspace,
  CAST(COALESCE((SELECT q.value FROM quotas q WHERE q.workspace_id = ? AND q.name = 'signal_tickets'), ?) AS SIGNED) AS open_max
