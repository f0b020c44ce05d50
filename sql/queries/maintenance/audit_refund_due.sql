-- The full cost is refunded if and only if the execution failed or was stopped before any side effect was started.
SELECT id, CONCAT('state ', state, ', effects ', effects, ', cost ', cost, ', refunded ', refunded)
FROM executions
WHERE refunded <> IF(state IN (4, 5) AND effects = 0, cost, 0)
