-- Inserts nothing if another operator has the name.
INSERT INTO operators (id, name, role, hash, prefix, created_ms, expires_ms) SELECT ?, ?, ?, ?, ?, ?, ?
FROM DUAL
WHERE NOT EXISTS (SELECT 1 FROM operators o WHERE o.name = ? AND o.revoked_ms IS NULL)
