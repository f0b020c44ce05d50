-- Runs accepted since an id, by their state now.
SELECT state, COUNT(*), CAST(SUM(losses) AS SIGNED) FROM executions WHERE id >= ? GROUP BY state
