-- Gives a locked lane back. The last but one argument is the latest moment at which what is pending is due.
UPDATE webhook_lanes SET busy = 0, failures = ?, failing = ?, sends = ?, not_before_ms = ?,
  pending = (SELECT COUNT(*) FROM webhook_deliveries d WHERE d.lane_id = ? AND d.state = 1),
  due_ms = COALESCE((SELECT LEAST(MIN(d.due_ms), ?) FROM webhook_deliveries d WHERE d.lane_id = ? AND d.state = 1), 9000000000000000)
WHERE id = ?
