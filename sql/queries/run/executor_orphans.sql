-- The first executor, from a given id on, that has running runs although it is marked as lost or has no row. Parked runs have no
-- executor.
SELECT t.executor_id
FROM (SELECT DISTINCT executor_id FROM executions FORCE INDEX (by_turn) WHERE state = ? AND executor_id >= ? AND executor_id > 0) AS t
LEFT JOIN executors x ON x.id = t.executor_id
WHERE x.id IS NULL OR x.lost_ms IS NOT NULL
ORDER BY t.executor_id
LIMIT 1
