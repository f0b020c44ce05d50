-- The limits of shared pools that operators have set.
SELECT workspace_id, name, value
FROM quotas FORCE INDEX (by_name)
WHERE name IN ('http_requests', 'sandboxes', 'slow_requests', 'uploads', 'http_requests_guaranteed', 'sandboxes_guaranteed', 'uploads_guaranteed') AND value IS NOT NULL
LIMIT ?
