-- The full cost is refunded if and only if the execution failed or was stopped before any side effect was started.
-- Columns as in audit_active.
SELECT id AS subject, CONCAT('state ', state, ', effects ', effects, ', cost ', cost, ', refunded ', refunded) AS detail
FROM executions
WHERE refunded <> IF(state IN (4, 5) AND effects = 0, cost, 0)
