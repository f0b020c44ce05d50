-- Not terminal past the deadline and its grace.
SELECT id, CONCAT('state ', state, ', deadline ', deadline_ms, ', executor ', executor_id)
FROM executions
WHERE state IN (1, 2) AND deadline_ms < ?
