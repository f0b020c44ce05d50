-- The queued run that has been claimable for longest, among those that were accepted first. A run that an executor has returned to
-- the queue is claimable since that moment (updated_ms), not since its acceptance.
SELECT MIN(e.updated_ms) AS claimable_ms
FROM (SELECT id FROM executions FORCE INDEX (by_turn) WHERE state = 1 ORDER BY id LIMIT ?) oldest
JOIN executions e ON e.id = oldest.id
