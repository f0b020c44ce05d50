DELETE FROM stream_tickets
WHERE used_ms IS NOT NULL
  AND EXISTS (SELECT 1 FROM executions x WHERE x.id = stream_tickets.execution_id AND x.ended_ms < ?)
LIMIT 500
