-- Inserts an endpoint, or replaces a locked one.
INSERT INTO webhooks (id, workspace_id, url, events, workflow_id, tags, description, enabled, disabled_reason, disabled_ms,
  failing_since_ms, nonce, sealed, old_nonce, old_sealed, old_until_ms, created_ms, updated_ms)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE url = VALUES(url), events = VALUES(events), workflow_id = VALUES(workflow_id), tags = VALUES(tags),
  description = VALUES(description), enabled = VALUES(enabled), disabled_reason = VALUES(disabled_reason),
  disabled_ms = VALUES(disabled_ms), failing_since_ms = VALUES(failing_since_ms), nonce = VALUES(nonce), sealed = VALUES(sealed),
  old_nonce = VALUES(old_nonce), old_sealed = VALUES(old_sealed), old_until_ms = VALUES(old_until_ms), updated_ms = VALUES(updated_ms)
