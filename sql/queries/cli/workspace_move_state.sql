-- Whether a workspace is frozen: enum frozen of lib/store/workspace.h; and who has frozen it: struct workspace_fence of
-- cli/workspace_move.h.
SELECT frozen, touched FROM accounts WHERE workspace_id = ? FOR UPDATE
