-- Executors that have running runs although they are marked as lost or have no row.
SELECT t.executor_id
FROM (SELECT DISTINCT executor_id FROM executions FORCE INDEX (by_turn) WHERE state = ?) AS t
LEFT JOIN executors x ON x.id = t.executor_id
WHERE x.id IS NULL OR x.lost_ms IS NOT NULL
