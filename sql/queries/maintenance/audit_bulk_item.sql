-- A retry that a bulk job has started (action 2, outcome 1) is a run of the job's workspace that retries the item, unless retention removed it;
-- no other item names a run, no run belongs to two items, and an ended job leaves no item without its job.
-- Columns as in audit_active.
SELECT i.job_id AS subject, CONCAT('execution ', i.execution_id, ', outcome ', i.outcome, ', result ', COALESCE(i.result_id, 'NULL')) AS detail
FROM bulk_items i
LEFT JOIN bulk_jobs j ON j.id = i.job_id
LEFT JOIN executions e ON e.id = i.result_id
WHERE j.id IS NULL OR (j.action = 2 AND i.outcome = 1) <> (i.result_id IS NOT NULL)
  OR (e.id IS NOT NULL AND (e.workspace_id <> j.workspace_id OR e.retry_of IS NULL OR e.retry_of <> i.execution_id))
  OR (i.outcome = 0) <> (i.decided_ms IS NULL) OR (i.outcome = 0 AND j.state = 4)
UNION ALL
SELECT MIN(job_id), CONCAT(COUNT(*), ' items of the run ', result_id)
FROM bulk_items
WHERE result_id IS NOT NULL
GROUP BY result_id
HAVING COUNT(*) > 1
