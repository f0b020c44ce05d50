-- A feed that nobody wants, or one whose oldest row is older than the time of keeping.
SELECT f.workspace_id
FROM feeds f JOIN (SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms) t
WHERE f.workspace_id > ? AND (f.wanted_until_ms <= t.now_ms OR (
  SELECT o.at_ms FROM feed_events o WHERE o.workspace_id = f.workspace_id AND o.id IS NOT NULL ORDER BY o.id LIMIT 1) < t.now_ms - ?)
ORDER BY f.workspace_id
LIMIT 1
