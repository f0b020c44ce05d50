-- Reads the events, in the order of the primary key, for the checks events, events_stray and step_again. `detail` names those that an
-- execution may violate; then their own queries tell which do.
-- The events are numbered from 1 without a gap, the first one is `queued`, and the only terminal one is the last.
-- Columns as in audit_active.
SELECT v.execution_id AS subject, 'events' AS detail
FROM events v FORCE INDEX (PRIMARY)
GROUP BY v.execution_id
HAVING MIN(v.seq) <> 1 OR MAX(v.seq) <> COUNT(*) OR SUM(IF(v.seq = 1, v.type, 0)) <> 1 OR SUM(v.type BETWEEN 12 AND 14) > 1
  OR (SUM(v.type BETWEEN 12 AND 14) = 1 AND MAX(IF(v.type BETWEEN 12 AND 14, v.seq, 0)) <> MAX(v.seq))
UNION ALL
-- Their number and their terminal event are what the execution says. Instead of a look-up of each, sums are compared in which each execution has
-- a weight of its own, so that errors of several do not cancel each other out but by a chance of one in four billion.
SELECT CAST('00000000-0000-0000-0000-000000000000' AS UUID), 'events,events_stray'
FROM (
  SELECT SUM(CRC32(execution_id) + 1) AS n, SUM(IF(type BETWEEN 12 AND 14, (CRC32(execution_id) + 1) * (type - 9), 0)) AS ends
  FROM events FORCE INDEX (PRIMARY)
) v
JOIN (
  SELECT SUM((CRC32(id) + 1) * last_seq) AS n, SUM(IF(state IN (3, 4, 5), (CRC32(id) + 1) * state, 0)) AS ends, MIN(last_seq) AS least
  FROM executions FORCE INDEX (PRIMARY)
) e
WHERE COALESCE(v.n, 0) <> COALESCE(e.n, 0) OR COALESCE(v.ends, 0) <> COALESCE(e.ends, 0) OR e.least < 1
UNION ALL
-- Steps that were started or succeeded more than once. Purged events have no data.
SELECT execution_id, 'step_again'
FROM events FORCE INDEX (PRIMARY)
WHERE type IN (3, 4) AND data IS NOT NULL
GROUP BY execution_id
HAVING COUNT(JSON_VALUE(data, '$.index')) > COUNT(DISTINCT type * 65536 + JSON_VALUE(data, '$.index'))
