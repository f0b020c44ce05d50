-- Queued and running runs: the count and the oldest id of each state.
SELECT state, COUNT(*), MIN(id) FROM executions WHERE state IN (1, 2) GROUP BY state
