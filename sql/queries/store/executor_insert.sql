INSERT INTO executors (host, pid, started_ms, lease_ms) VALUES (?, ?, ?, ?)
