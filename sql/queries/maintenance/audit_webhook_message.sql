-- Runs that ended within the last 23 hours (messages are kept for a day at least) whose own webhook asks for the end, without its message.
-- The event of an end is the state less 1.
-- Columns as in audit_active.
SELECT e.id AS subject, CONCAT('state ', e.state, ', no message') AS detail
FROM executions e
WHERE e.webhook_url IS NOT NULL AND e.state IN (3, 4, 5) AND e.purged_ms IS NULL AND (e.webhook_events >> (e.state - 1)) & 1 = 1
  AND e.ended_ms > CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS SIGNED) - 23 * 3600 * 1000
  AND NOT EXISTS (SELECT 1 FROM webhook_outbox o WHERE o.execution_id = e.id AND o.event = e.state - 1)
