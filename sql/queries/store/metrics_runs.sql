-- Queued and running runs: the count and the oldest id of each state.
SELECT state, COUNT(*) AS n, MIN(id) AS oldest_id FROM executions WHERE state IN (1, 2) GROUP BY state
