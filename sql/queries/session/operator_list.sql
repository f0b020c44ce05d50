SELECT id, name, role, prefix, created_ms, expires_ms, revoked_ms, last_used_ms FROM operators ORDER BY id
