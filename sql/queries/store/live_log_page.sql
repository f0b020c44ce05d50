-- A page of the log's pieces after `seq`; 64 KiB at most each.
SELECT seq, data FROM events WHERE execution_id = ? AND seq > ? AND type = ? ORDER BY seq LIMIT 100
