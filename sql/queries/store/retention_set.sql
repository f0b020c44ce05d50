-- Each number with a 1 before it where it is to change; due at once.
INSERT INTO retention (workspace_id, keep_payload_days, keep_rows_days) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE
  keep_payload_days = IF(?, VALUES(keep_payload_days), keep_payload_days),
  keep_rows_days = IF(?, VALUES(keep_rows_days), keep_rows_days), due_ms = 0
