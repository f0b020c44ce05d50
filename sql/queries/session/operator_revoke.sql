-- Also matches an operator that is revoked already; the first time of revocation is kept.
UPDATE operators SET revoked_ms = COALESCE(revoked_ms, ?) WHERE id = ?
