-- The messages after one that were set aside.
SELECT workspace_id, id
FROM webhook_outbox FORCE INDEX (by_turn)
WHERE fanned = 2 AND (workspace_id > ? OR (workspace_id = ? AND id > ?))
ORDER BY workspace_id, id
LIMIT ?
