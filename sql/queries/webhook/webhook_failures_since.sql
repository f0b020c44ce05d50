-- A failed delivery that webhook_redeliver_since would send again.
SELECT d.id
FROM webhook_deliveries d FORCE INDEX (by_lane)
JOIN webhook_outbox o ON o.id = d.outbox_id
WHERE d.lane_id = ? AND d.workspace_id = ? AND d.id >= ? AND d.state = 3 AND d.due_ms >= ? AND o.body IS NOT NULL
LIMIT 1
