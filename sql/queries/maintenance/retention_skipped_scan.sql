-- Runs that the cursor has passed and that are to be looked at again, in the order of their ids as far as they fit. A run that
-- another cursor has removed has no state.
-- Columns as in retention_scan.
SELECT s.execution_id AS id, e.state, e.updated_ms, e.purged_ms, s.accepted_ms
FROM (SELECT execution_id, accepted_ms FROM retention_skipped FORCE INDEX (by_due)
      WHERE workspace_id = ? AND removes = ? AND due_ms <= ? ORDER BY due_ms LIMIT 64) s
LEFT JOIN executions e ON e.id = s.execution_id
ORDER BY s.execution_id
