-- Waits for transactions that are ending one of these runs, and keeps the others from ending before this commit, so that the
-- count is exact. Locked by primary key in ascending order, like every lock on runs.
SELECT id, state FROM executions WHERE id IN ([[?]]) ORDER BY id LOCK IN SHARE MODE
