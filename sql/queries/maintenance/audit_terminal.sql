-- The columns of an execution agree with its state.
-- Columns as in audit_active.
SELECT id AS subject, CONCAT('state ', state, ', executor ', executor_id, ', reason ', failure_reason, ', ended ', COALESCE(ended_ms, 'NULL')) AS detail
FROM executions
WHERE (state IN (3, 4, 5)) <> (ended_ms IS NOT NULL)
   OR (state IN (4, 5)) <> (failure_reason <> 0)
   OR (state = 1 AND executor_id NOT IN (0, 9223372036854775807))
   OR (state = 2 AND started_ms IS NULL)
   OR state NOT IN (1, 2, 3, 4, 5)
