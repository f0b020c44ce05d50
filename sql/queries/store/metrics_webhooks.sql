-- Of webhooks: messages without deliveries and messages that were set aside (at most 10,000 of each are counted), pending deliveries, endpoints and hosts that fail, endpoints that
-- Millrace has disabled, and since when the oldest message, or a lane that does not fail, has waited.
SELECT
  (SELECT COUNT(*) FROM (SELECT 1 FROM webhook_outbox WHERE fanned = 0 LIMIT 10000) AS waiting) AS messages,
  (SELECT COUNT(*) FROM (SELECT 1 FROM webhook_outbox WHERE fanned = 2 LIMIT 10000) AS aside) AS set_aside,
  (SELECT CAST(COALESCE(SUM(pending), 0) AS SIGNED) FROM webhook_lanes) AS pending,
  (SELECT COUNT(*) FROM webhook_lanes WHERE failing = 1) AS failing,
  (SELECT COUNT(*) FROM webhooks WHERE enabled = 0 AND disabled_reason <> 1) AS disabled,
  (SELECT MIN(first_ms) FROM (SELECT at_ms AS first_ms FROM webhook_outbox WHERE fanned = 0 LIMIT 10000) AS waiting) AS first_message_ms,
  (SELECT MIN(due_ms) FROM webhook_lanes WHERE failing = 0 AND busy = 0) AS first_due_ms
