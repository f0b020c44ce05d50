-- The states of runs that Redis says were stopped.
SELECT id, state FROM executions WHERE id IN ([[?]])
