-- Columns as in webhook_get.
SELECT id, workspace_id, url, events, workflow_id, tags, description, enabled, disabled_reason, disabled_ms, failing_since_ms, nonce, sealed,
  old_nonce, old_sealed, old_until_ms, created_ms, updated_ms
FROM webhooks WHERE workspace_id IN ([[?]]) AND enabled = 1
ORDER BY id
