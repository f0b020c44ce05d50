-- Refunded, wholly, exactly where it failed or was stopped before anything was started.
SELECT id, CONCAT('state ', state, ', effects ', effects, ', cost ', cost, ', refunded ', refunded)
FROM executions
WHERE refunded <> IF(state IN (4, 5) AND effects = 0, cost, 0)
