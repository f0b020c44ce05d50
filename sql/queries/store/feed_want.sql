-- A new feed begins above every id of an earlier feed of the workspace.
INSERT INTO feeds (workspace_id, last_id, removed_id, wanted_until_ms)
SELECT w.id, t.now_ms * 1000, t.now_ms * 1000, t.now_ms + ?
FROM workspaces w JOIN (SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms) t
WHERE w.id = ?
ON DUPLICATE KEY UPDATE wanted_until_ms = VALUES(wanted_until_ms)
