-- Runs accepted since an id, by their present state, and how often executors were lost while running them.
SELECT state, COUNT(*) AS n, CAST(SUM(losses) AS SIGNED) AS lost_count FROM executions WHERE id >= ? GROUP BY state
