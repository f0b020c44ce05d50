-- The states of runs that were stopped according to Redis.
SELECT id, state FROM executions WHERE id IN ([[?]])
