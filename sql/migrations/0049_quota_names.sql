-- The daemons read the limits of shared pools of all workspaces (lib/store/share_limits.h).
ALTER TABLE quotas ADD KEY by_name (name, workspace_id), ALGORITHM=NOCOPY, LOCK=NONE;
