DELETE FROM credit_alert_days WHERE workspace_id = ? AND end_ms <= ?
