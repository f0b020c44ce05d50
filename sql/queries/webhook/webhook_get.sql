SELECT id, workspace_id, url, events, workflow_id, tags, description, enabled, disabled_reason, disabled_ms, failing_since_ms, nonce, sealed,
  old_nonce, old_sealed, old_until_ms, created_ms, updated_ms
FROM webhooks WHERE workspace_id = ? AND id = ?
