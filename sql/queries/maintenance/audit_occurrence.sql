-- An occurrence that was started (state 1) names a run of its workspace, every other one names none, and no run has two.
-- Columns as in audit_active.
SELECT o.schedule_id AS subject, CONCAT('nominal ', o.nominal_ms, ', state ', o.state, ', execution ', COALESCE(o.execution_id, 'NULL')) AS detail
FROM schedule_occurrences o
LEFT JOIN executions e ON e.id = o.execution_id
WHERE (o.state = 1 AND (e.id IS NULL OR e.workspace_id <> o.workspace_id)) OR (o.state <> 1 AND o.execution_id IS NOT NULL)
  OR (o.is_open = 1 AND o.state <> 1)
UNION ALL
SELECT MIN(schedule_id), CONCAT(COUNT(*), ' occurrences of the run ', execution_id)
FROM schedule_occurrences
WHERE execution_id IS NOT NULL
GROUP BY execution_id
HAVING COUNT(*) > 1
