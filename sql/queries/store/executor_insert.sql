INSERT INTO executors (host, pid, started_ms) VALUES (?, ?, ?)
