-- Each number has a flag at the end: 1 changes it, 0 keeps it. The workspace is due at once.
INSERT INTO retention (workspace_id, keep_payload_days, keep_rows_days) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE
  keep_payload_days = IF(?, VALUES(keep_payload_days), keep_payload_days),
  keep_rows_days = IF(?, VALUES(keep_rows_days), keep_rows_days), due_ms = 0
