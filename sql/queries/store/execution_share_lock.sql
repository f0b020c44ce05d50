-- Waits for whoever is just ending one of these and keeps the others from ending before this commit: what is counted
-- is exact. By primary key, in ascending order, as everybody locks runs.
SELECT id, state FROM executions WHERE id IN ([[?]]) ORDER BY id LOCK IN SHARE MODE
