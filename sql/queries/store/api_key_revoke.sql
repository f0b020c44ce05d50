-- Matched, also where it was revoked already: the first time stands.
UPDATE api_keys SET revoked_ms = COALESCE(revoked_ms, ?) WHERE workspace_id = ? AND id = ?
