INSERT INTO credit_alert_days (workspace_id, end_ms, spent) VALUES (?, ?, ?)
