-- Lanes whose claim lasts although its executor is lost.
SELECT l.id, l.executor_id
FROM webhook_lanes l FORCE INDEX (by_next)
LEFT JOIN executors x ON x.id = l.executor_id
WHERE l.failing IN (0, 1) AND l.next_ms > ? AND l.next_ms <= ? AND l.busy = 1 AND l.executor_id > 0 AND (x.id IS NULL OR x.lost_ms IS NOT NULL)
LIMIT 500
