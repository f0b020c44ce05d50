SELECT id, workspace_id, webhook_id, failures, sends, pending FROM webhook_lanes FORCE INDEX (PRIMARY)
WHERE failing = ? AND next_ms <= ? AND id IN ([[?]])
ORDER BY id
FOR UPDATE SKIP LOCKED
