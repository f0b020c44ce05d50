-- Whether a workspace is frozen: enum frozen of lib/store/workspace.h.
SELECT frozen FROM accounts WHERE workspace_id = ? FOR UPDATE
