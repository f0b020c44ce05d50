-- What these runs' logs are.
-- Columns as in artifact_blobs.
SELECT log_sha256 AS sha256, log_size AS size FROM execution_usage WHERE execution_id IN ([[?]]) AND log_sha256 IS NOT NULL
