-- Records the ends of runs for the workspaces that have a feed.
INSERT INTO feed_events (execution_id, workspace_id, at_ms)
SELECT e.id, e.workspace_id, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
FROM executions e JOIN feeds f ON f.workspace_id = e.workspace_id
WHERE e.id IN ([[?]])
