-- Lanes that may send, a first one of each workspace before the second ones. Not locked: webhook_lane_lock_due looks again.
SELECT id, workspace_id
FROM (
  SELECT id, workspace_id, due_ms, ROW_NUMBER() OVER (PARTITION BY workspace_id ORDER BY due_ms) AS turn
  FROM webhook_lanes
  WHERE failing = ? AND due_ms <= ? AND not_before_ms <= ?
) AS due
ORDER BY turn, due_ms
LIMIT ?
