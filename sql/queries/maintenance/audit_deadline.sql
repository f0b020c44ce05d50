-- No execution is queued or running after its deadline plus the grace period.
SELECT id, CONCAT('state ', state, ', deadline ', deadline_ms, ', executor ', executor_id)
FROM executions
WHERE state IN (1, 2) AND deadline_ms < ?
