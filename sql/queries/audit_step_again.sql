-- A step that succeeded was started again afterwards, or succeeded twice. (What was purged says nothing any more.)
SELECT execution_id, CONCAT('step ', step, ', started at event ', MAX(IF(type = 3, seq, 0)), ', succeeded at ', MIN(IF(type = 4, seq, NULL)))
FROM (
  SELECT execution_id, seq, type, JSON_VALUE(data, '$.index') AS step FROM events WHERE type IN (3, 4) AND data IS NOT NULL
) v
WHERE step IS NOT NULL
GROUP BY execution_id, step
HAVING MAX(IF(type = 3, seq, 0)) > MIN(IF(type = 4, seq, NULL)) OR SUM(type = 4) > 1
