-- Sends again what has failed of the deliveries that were made since a moment. A delivery's due_ms is never before its creation.
UPDATE webhook_deliveries FORCE INDEX (by_lane) SET state = 1, tries = 0, due_ms = ?
WHERE lane_id = ? AND workspace_id = ? AND id >= ? AND state = 3 AND due_ms >= ?
  AND outbox_id IN (SELECT o.id FROM webhook_outbox o WHERE o.id = webhook_deliveries.outbox_id AND o.body IS NOT NULL)
LIMIT ?
