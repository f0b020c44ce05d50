-- No execution is queued or running after its deadline plus the grace period.
-- Columns as in audit_active.
SELECT id AS subject, CONCAT('state ', state, ', deadline ', deadline_ms, ', executor ', executor_id) AS detail
FROM executions
WHERE state IN (1, 2) AND deadline_ms < ?
