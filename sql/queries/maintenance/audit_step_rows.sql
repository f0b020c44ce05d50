-- Steps whose execution does not exist (unless it is being removed in slices), and rows whose columns contradict their status.
-- Columns as in audit_active.
SELECT s.execution_id AS subject, CONCAT('step ', s.step, ', item ', s.item, ', status ', s.status) AS detail
FROM execution_steps s
LEFT JOIN executions e ON e.id = s.execution_id
WHERE (e.id IS NULL AND NOT EXISTS (SELECT 1 FROM purges p WHERE p.execution_id = s.execution_id AND p.removes = 1)) OR (s.status IN (2, 3, 4)) <> (s.completed_ms IS NOT NULL)
   OR (e.state = 3 AND s.item = -1 AND s.status = 1)
