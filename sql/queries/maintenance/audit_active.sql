-- Where max_concurrent is set, `active` equals the number of roots that are not terminal and do not wait for their start.
SELECT a.workspace_id AS subject, CONCAT('active ', a.active, ', roots not terminal ', COALESCE(r.n, 0)) AS detail
FROM accounts a
LEFT JOIN (
  SELECT workspace_id, COUNT(*) AS n FROM executions WHERE state IN (1, 2) AND parent_id IS NULL
    AND executor_id <> 9223372036854775807 GROUP BY workspace_id
) r ON r.workspace_id = a.workspace_id
WHERE a.max_concurrent IS NOT NULL AND a.active <> COALESCE(r.n, 0)
