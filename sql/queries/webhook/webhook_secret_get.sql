SELECT nonce, sealed, old_nonce, old_sealed, old_until_ms FROM webhook_secrets WHERE workspace_id = ?
