-- The last argument: what `touched` must be, by which an import knows its account; NULL: anything.
UPDATE accounts SET frozen = ?, touched = touched + 1 WHERE workspace_id = ? AND frozen = ? AND touched = COALESCE(?, touched)
