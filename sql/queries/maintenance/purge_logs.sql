SELECT log_sha256, log_size FROM execution_usage WHERE execution_id IN ([[?]]) AND log_sha256 IS NOT NULL
