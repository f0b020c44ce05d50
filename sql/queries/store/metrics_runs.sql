-- The numbers of queued runs, and of running ones that an executor has. Parked runs are counted in `waits`.
SELECT state, COUNT(*) AS n
FROM executions FORCE INDEX (by_turn)
WHERE state = 1 OR (state = 2 AND executor_id > 0)
GROUP BY state
