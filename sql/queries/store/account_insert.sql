INSERT INTO accounts (workspace_id, rate_limit_per_minute, max_concurrent, price) VALUES (?, ?, ?, ?)
