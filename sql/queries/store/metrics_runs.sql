-- The numbers of queued and running runs.
SELECT state, COUNT(*) AS n FROM executions WHERE state IN (1, 2) GROUP BY state
