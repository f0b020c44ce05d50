-- The queued run that has been claimable for longest, among those that were accepted first. A run that an executor has returned to
-- the queue is claimable since that moment (updated_ms), not since its acceptance. Runs that wait for their start are not claimable.
SELECT MIN(e.updated_ms) AS claimable_ms
FROM (SELECT id FROM executions FORCE INDEX (by_turn) WHERE state = 1 AND executor_id = 0 ORDER BY id LIMIT ?) oldest
JOIN executions e ON e.id = oldest.id
