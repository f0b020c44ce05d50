-- Also matches a key that is revoked already; the first time of revocation is kept.
UPDATE api_keys SET revoked_ms = COALESCE(revoked_ms, ?) WHERE workspace_id = ? AND id = ?
