-- The last argument: what `touched` must be (struct workspace_fence of cli/workspace_move.h); NULL: anything.
UPDATE accounts SET frozen = ?, touched = touched + 1 WHERE workspace_id = ? AND frozen = ? AND touched = COALESCE(?, touched)
