SELECT t.id, t.workspace_id, t.execution_id, t.name, t.expires_ms, t.open_until_ms, t.answered_ms, t.recipient, t.question, t.choices,
  x.responder_id, x.version, x.ended_ms
FROM signal_tickets t
JOIN executions x ON x.id = t.execution_id AND x.purged_ms IS NULL
WHERE t.hash = ?
