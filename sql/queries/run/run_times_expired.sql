-- Runs whose expiry has come (by MariaDB's clock), whatever became of them. Nothing is locked.
SELECT t.execution_id, e.workspace_id
FROM (SELECT execution_id, expires_ms FROM run_times FORCE INDEX (by_expiry)
      WHERE settled = 0 AND expires_ms <= ROUND(UNIX_TIMESTAMP(NOW(3)) * 1000) ORDER BY expires_ms LIMIT ?) t
JOIN executions e ON e.id = t.execution_id
ORDER BY e.workspace_id, t.execution_id
