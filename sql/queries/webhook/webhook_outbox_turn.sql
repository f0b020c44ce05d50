-- The next messages without deliveries after a workspace, in the order of the index (lib/webhook/turn.h). Not locked: webhook_outbox_claim
-- looks again.
SELECT workspace_id, id
FROM webhook_outbox FORCE INDEX (by_turn)
WHERE fanned = 0 AND workspace_id > ?
ORDER BY workspace_id, id
LIMIT ?
