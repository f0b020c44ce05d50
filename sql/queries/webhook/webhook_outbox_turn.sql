-- Messages without deliveries, a first one of each workspace before the second ones. Not locked: webhook_outbox_claim looks again.
SELECT id
FROM (
  SELECT id, ROW_NUMBER() OVER (PARTITION BY workspace_id ORDER BY id) AS turn
  FROM webhook_outbox FORCE INDEX (by_turn)
  WHERE fanned = 0
) AS waiting
ORDER BY turn, id
LIMIT 200
