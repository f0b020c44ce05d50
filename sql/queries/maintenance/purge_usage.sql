UPDATE execution_usage SET log_sha256 = NULL, log_size = 0 WHERE execution_id IN ([[?]])
