-- Gives a locked lane back. The first argument of LEAST is the latest moment at which what is pending is due.
UPDATE webhook_lanes SET busy = 0, failures = ?, failing = ?, sends = ?, not_before_ms = ?,
  due_ms = COALESCE((SELECT LEAST(?, d.due_ms) FROM webhook_deliveries d WHERE d.lane_id = ? AND d.state = 1 ORDER BY d.due_ms LIMIT 1),
                    9000000000000000),
  pending = IF(due_ms = 9000000000000000, 0, ?)
WHERE id = ?
