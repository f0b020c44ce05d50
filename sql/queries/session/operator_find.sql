SELECT id, name, role, expires_ms, revoked_ms, last_used_ms FROM operators WHERE hash = ?
