-- State and last event of many runs. The caller compares the workspace.
SELECT id, workspace_id, state, last_seq FROM executions WHERE id IN ([[?]])
