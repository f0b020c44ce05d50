-- Event numbers run 1…n, the first event is `queued`, and a terminal execution has exactly one terminal event, the last one,
-- which matches its state. Both tables are read in the order of their primary keys, without a temporary table.
-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT('state ', e.state, ', last_seq ', e.last_seq, ', events ', COUNT(v.seq), ', highest ', COALESCE(MAX(v.seq), 0),
                    ', terminal ', COALESCE(SUM(v.type BETWEEN 12 AND 14), 0)) AS detail
FROM executions e
LEFT JOIN events v ON v.execution_id = e.id
GROUP BY e.id
HAVING COUNT(v.seq) = 0
    OR MIN(v.seq) <> 1 OR MAX(v.seq) <> COUNT(v.seq) OR MAX(v.seq) <> MAX(e.last_seq)
    OR MAX(IF(v.seq = 1, v.type, 0)) <> 1
    OR SUM(v.type BETWEEN 12 AND 14) <> MAX(e.state IN (3, 4, 5))
    OR (MAX(e.state) IN (3, 4, 5) AND MAX(IF(v.type = e.state + 9, v.seq, 0)) <> MAX(v.seq))
