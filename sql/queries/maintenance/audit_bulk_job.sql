-- The counts of a job are those of its items; one is due if and only if it is collecting or running (states 1 and 2), and has an end if and only if it has
-- ended (states 4 and 5). A job that is being removed has lost items, but its counts stand.
-- Columns as in audit_active.
SELECT j.id AS subject, CONCAT('state ', j.state, ', matched ', j.matched, ', items ', COUNT(i.job_id), ', due_ms ', COALESCE(j.due_ms, 'NULL')) AS detail
FROM bulk_jobs j
LEFT JOIN bulk_items i ON i.job_id = j.id
GROUP BY j.id, j.state, j.matched, j.due_ms, j.ended_ms, j.is_collected
HAVING (j.state IN (1, 2)) <> (j.due_ms IS NOT NULL) OR (j.state IN (4, 5)) <> (j.ended_ms IS NOT NULL) OR (j.state = 2 AND NOT j.is_collected)
  OR (j.state IN (1, 2, 3) AND COUNT(i.job_id) <> j.matched) OR COUNT(i.job_id) > j.matched
UNION ALL
SELECT c.job_id, CONCAT('outcome ', c.outcome, ', reason ', c.reason, ': counted ', c.n)
FROM bulk_counts c
LEFT JOIN bulk_jobs j ON j.id = c.job_id
WHERE j.id IS NULL
  OR (j.ended_ms IS NULL AND c.n <> (SELECT COUNT(*) FROM bulk_items i WHERE i.job_id = c.job_id AND i.outcome = c.outcome AND i.reason = c.reason))
