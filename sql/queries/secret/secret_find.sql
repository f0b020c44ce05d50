SELECT name, updated_ms, nonce, sealed FROM secrets WHERE workspace_id = ? AND name IN ([[?]])
