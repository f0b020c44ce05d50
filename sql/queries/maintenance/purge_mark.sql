UPDATE executions
SET input = NULL, tags = NULL, metadata = NULL, extra = NULL, output = NULL, error = NULL, webhook_url = NULL, webhook_events = NULL, trace_state = NULL, room = NULL, purged_ms = CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED)
WHERE id IN ([[?]])
