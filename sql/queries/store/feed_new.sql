-- By time; of one moment a child, whose id is higher, before its parent. Read in the order of the key: there may be millions.
SELECT execution_id FROM feed_events FORCE INDEX (by_id) WHERE workspace_id = ? AND id IS NULL ORDER BY at_ms, execution_id DESC LIMIT 1000
