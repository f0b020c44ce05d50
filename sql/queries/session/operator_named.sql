-- By id or name, whichever it is; of operators with one name, the one that is not revoked.
SELECT id FROM operators WHERE id = ? OR name = ? ORDER BY revoked_ms IS NOT NULL, id DESC LIMIT 1
