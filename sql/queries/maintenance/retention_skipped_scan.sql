-- Runs that the cursor has passed and that are to be looked at again, in the order of their ids as far as they fit.
-- Columns as in retention_scan.
SELECT e.id, e.state, e.ended_ms, e.purged_ms
FROM (SELECT execution_id FROM retention_skipped FORCE INDEX (by_due)
      WHERE workspace_id = ? AND removes = ? AND due_ms <= ? ORDER BY due_ms LIMIT 64) s
JOIN executions e ON e.id = s.execution_id
ORDER BY e.id
