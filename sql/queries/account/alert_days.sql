SELECT end_ms, spent FROM credit_alert_days WHERE workspace_id = ? ORDER BY end_ms
