-- The numbers of queued runs that can be claimed, and of running ones that an executor has. Others are counted in `waits`.
SELECT state, COUNT(*) AS n
FROM executions FORCE INDEX (by_turn)
WHERE (state = 1 AND executor_id = 0) OR (state = 2 AND executor_id > 0)
GROUP BY state
