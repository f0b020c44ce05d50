-- The messages after one that were set aside, of workspaces that are not frozen.
SELECT workspace_id, id
FROM webhook_outbox FORCE INDEX (by_turn)
WHERE fanned = 2 AND (workspace_id > ? OR (workspace_id = ? AND id > ?))
  AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.workspace_id = webhook_outbox.workspace_id AND a.frozen <> 0)
ORDER BY workspace_id, id
LIMIT ?
