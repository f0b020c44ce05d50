-- The workspace that has been due the longest and is not frozen, and the time by MariaDB's clock. Rows that another process has locked are skipped.
SELECT workspace_id, keep_payload_days, keep_rows_days, purged_to, removed_to, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM retention
WHERE due_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
  AND NOT EXISTS (SELECT 1 FROM accounts a WHERE a.workspace_id = retention.workspace_id AND a.frozen <> 0)
ORDER BY due_ms
LIMIT 1
FOR UPDATE SKIP LOCKED
