-- The running runs of one executor, in the order of the index.
SELECT id, attempt FROM executions FORCE INDEX (by_turn) WHERE state = ? AND executor_id = ? ORDER BY workspace_id, id LIMIT ?
