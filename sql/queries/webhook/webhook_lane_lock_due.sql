SELECT id, workspace_id, webhook_id, failures, sends FROM webhook_lanes
WHERE failing = ? AND due_ms <= ? AND not_before_ms <= ? AND id IN ([[?]])
ORDER BY id
FOR UPDATE SKIP LOCKED
