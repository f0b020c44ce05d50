-- Runs accepted since an id, by their present state, and how often executors were lost while running them.
SELECT state, COUNT(*), CAST(SUM(losses) AS SIGNED) FROM executions WHERE id >= ? GROUP BY state
