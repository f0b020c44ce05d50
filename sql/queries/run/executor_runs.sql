-- The running runs of one executor, oldest first.
SELECT id, attempt FROM executions FORCE INDEX (by_work) WHERE state = ? AND executor_id = ? ORDER BY id LIMIT ?
