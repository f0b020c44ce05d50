-- The next workspaces that are not frozen, with the oldest row of the ledger of each.
SELECT a.workspace_id, (SELECT l.id FROM credit_ledger l WHERE l.workspace_id = a.workspace_id ORDER BY l.id LIMIT 1) AS first_id,
  CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM accounts a
WHERE a.workspace_id > ? AND a.frozen = 0
ORDER BY a.workspace_id
LIMIT 100
