-- Locks and writes the account of a workspace that is not frozen (lib/deed/deed.c).
UPDATE accounts SET touched = touched + 1 WHERE workspace_id = ? AND frozen = 0
