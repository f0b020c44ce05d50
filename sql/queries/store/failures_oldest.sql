-- The oldest of the newest failed runs of a workspace; no row: it has fewer.
SELECT execution_id FROM execution_failures FORCE INDEX (PRIMARY)
WHERE workspace_id = ?
ORDER BY execution_id DESC
LIMIT 1 OFFSET ?
