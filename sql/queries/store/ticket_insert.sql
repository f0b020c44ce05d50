-- Inserts nothing if the workspace has as many tickets as it may have. Requests at the same moment may each insert one. check_ms:
-- when the ticket is looked at first, see ticket_check.sql.
INSERT INTO stream_tickets (hash, workspace_id, execution_id, key_id, created_ms, check_ms) SELECT ?, ?, ?, ?, ?, ?
FROM DUAL
WHERE (SELECT COUNT(*) FROM stream_tickets t WHERE t.workspace_id = ?)
  < COALESCE((SELECT q.value FROM quotas q WHERE q.workspace_id = ? AND q.name = 'tickets'), ?)
