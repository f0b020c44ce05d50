INSERT INTO credit_alerts (workspace_id, kind, value, at_least, line, usual, since_ms, told)
VALUES {{(?, ?, ?, ?, ?, ?, ?, ?)}}
ON DUPLICATE KEY UPDATE line = VALUES(line), usual = VALUES(usual), told = VALUES(told)
