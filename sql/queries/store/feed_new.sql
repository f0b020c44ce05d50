-- By time; of one moment a child, whose id is higher, before its parent.
SELECT execution_id FROM feed_events WHERE workspace_id = ? AND id IS NULL ORDER BY at_ms, execution_id DESC LIMIT 1000
