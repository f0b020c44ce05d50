-- Runs that are not terminal, by state: how many, and the oldest.
SELECT state, COUNT(*), MIN(id) FROM executions WHERE state IN (1, 2) GROUP BY state
