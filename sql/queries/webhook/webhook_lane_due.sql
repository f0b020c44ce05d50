-- The lanes that could be claimed the longest, a first one of each workspace before the second ones. Not locked: webhook_lane_lock_due looks
-- again.
SELECT id, workspace_id
FROM (
  SELECT id, workspace_id, next_ms, ROW_NUMBER() OVER (PARTITION BY workspace_id ORDER BY next_ms) AS turn
  FROM (
    SELECT id, workspace_id, next_ms FROM webhook_lanes FORCE INDEX (by_next)
    WHERE failing = ? AND next_ms <= ? AND workspace_id NOT IN ([[?]])
    ORDER BY next_ms
    LIMIT 512
  ) AS longest
) AS due
ORDER BY turn, next_ms
