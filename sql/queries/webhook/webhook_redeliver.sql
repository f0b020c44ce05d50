-- Sends a delivery again: the same id and body, from the first try. Not if its body was purged.
UPDATE webhook_deliveries d JOIN webhook_outbox o ON o.id = d.outbox_id
SET d.state = 1, d.tries = 0, d.due_ms = ?
WHERE d.webhook_id = ? AND d.workspace_id = ? AND d.id = ? AND o.body IS NOT NULL
