-- Columns as in secret_find.
SELECT name, updated_ms, nonce, sealed FROM secrets WHERE workspace_id = ? ORDER BY name
