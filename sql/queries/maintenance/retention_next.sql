-- The workspace that has been due the longest. Rows that another process has locked are skipped.
SELECT workspace_id, keep_payload_days, keep_rows_days, purged_to, removed_to
FROM retention
WHERE due_ms <= ?
ORDER BY due_ms
LIMIT 1
FOR UPDATE SKIP LOCKED
