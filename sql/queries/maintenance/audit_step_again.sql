-- Steps that were started again after they had succeeded, or that succeeded twice. The inner query reads all events in the
-- order of the primary key and keeps the executions in which a step was started or succeeded more than once. Purged events
-- have no data and are skipped.
-- Columns as in audit_active.
SELECT v.execution_id AS subject, CONCAT('step ', JSON_VALUE(v.data, '$.index'), ', started at event ', MAX(IF(v.type = 3, v.seq, 0)),
                              ', succeeded at ', MIN(IF(v.type = 4, v.seq, NULL))) AS detail
FROM (
  SELECT execution_id FROM events WHERE type IN (3, 4) AND data IS NOT NULL
  GROUP BY execution_id HAVING COUNT(*) > COUNT(DISTINCT type * 65536 + JSON_VALUE(data, '$.index'))
) s
JOIN events v ON v.execution_id = s.execution_id AND v.type IN (3, 4) AND JSON_VALUE(v.data, '$.index') IS NOT NULL
GROUP BY v.execution_id, JSON_VALUE(v.data, '$.index')
HAVING MAX(IF(v.type = 3, v.seq, 0)) > MIN(IF(v.type = 4, v.seq, NULL)) OR SUM(v.type = 4) > 1
