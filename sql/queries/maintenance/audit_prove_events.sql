-- Reads the events once, in the order of the primary key, for the checks events, events_stray and step_again. `detail` names those that an
-- execution may violate; then their own queries tell which do.
-- Columns as in audit_active.
SELECT v.execution_id AS subject, CONCAT_WS(',',
  IF(MAX(e.id IS NULL) AND MIN(v.seq) = 1, 'events_stray', NULL),
  IF(MAX(e.id IS NOT NULL)
    AND (MIN(v.seq) <> 1 OR MAX(v.seq) <> COUNT(v.seq) OR MAX(v.seq) <> MAX(e.last_seq) OR MAX(IF(v.seq = 1, v.type, 0)) <> 1
      OR SUM(v.type BETWEEN 12 AND 14) <> MAX(e.state IN (3, 4, 5))
      OR (MAX(e.state) IN (3, 4, 5) AND MAX(IF(v.type = e.state + 9, v.seq, 0)) <> MAX(v.seq))), 'events', NULL),
  IF(COUNT(IF(v.type IN (3, 4), JSON_VALUE(v.data, '$.index'), NULL))
      > COUNT(DISTINCT IF(v.type IN (3, 4), v.type * 65536 + JSON_VALUE(v.data, '$.index'), NULL)), 'step_again', NULL)) AS detail
FROM events v FORCE INDEX (PRIMARY)
LEFT JOIN executions e ON e.id = v.execution_id
GROUP BY v.execution_id
HAVING detail <> ''
UNION ALL
-- executions without an event
SELECT e.id, 'events'
FROM executions e
LEFT JOIN events v ON v.execution_id = e.id AND v.seq = 1
WHERE v.execution_id IS NULL
