-- Tickets that are due to be looked at, with what decides whether they can still be used.
SELECT t.hash, t.created_ms, t.used_ms, x.id, x.ended_ms
FROM (SELECT hash, execution_id, created_ms, used_ms FROM stream_tickets FORCE INDEX (check_ms)
      WHERE check_ms <= ? ORDER BY check_ms LIMIT 500) t
LEFT JOIN executions x ON x.id = t.execution_id
