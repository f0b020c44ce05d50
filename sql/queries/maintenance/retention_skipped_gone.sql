-- Rows whose run another cursor has removed.
DELETE s FROM retention_skipped s LEFT JOIN executions e ON e.id = s.execution_id
WHERE s.workspace_id = ? AND s.removes = ? AND s.due_ms <= ? AND e.id IS NULL
