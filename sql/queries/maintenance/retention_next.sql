-- A workspace whose time it is, and that nobody else is at.
SELECT workspace_id, keep_payload_days, keep_rows_days, purged_to, removed_to
FROM retention
WHERE due_ms <= ?
ORDER BY due_ms
LIMIT 1
FOR UPDATE SKIP LOCKED
