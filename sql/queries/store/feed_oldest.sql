-- The oldest rows, as many as one transaction removes.
SELECT id FROM feed_events
WHERE workspace_id = ? AND id IS NOT NULL AND at_ms < CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - ?
ORDER BY id LIMIT 500
