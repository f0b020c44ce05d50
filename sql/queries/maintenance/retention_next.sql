-- The workspace that has been due the longest, and the time by MariaDB's clock. Rows that another process has locked are skipped.
SELECT workspace_id, keep_payload_days, keep_rows_days, purged_to, removed_to, CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) AS now_ms
FROM retention
WHERE due_ms <= CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
ORDER BY due_ms
LIMIT 1
FOR UPDATE SKIP LOCKED
